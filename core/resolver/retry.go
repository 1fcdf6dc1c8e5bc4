package resolver

// Retry has what could not be resolved, or only from what has expired, asked anew by
// the next asker: for when others are asked from now on than before.
func (r *Resolver) Retry() { r.cache.Retry() }
