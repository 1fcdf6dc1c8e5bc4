package upstream

// Hold has the queries of questions asked from now on leave together, by fewer
// system calls, at the Release that belongs to it: for who has a batch of questions
// to ask, and no reason to wait in between. What others ask meanwhile may leave
// with them. Between Hold and Release nobody may wait.
func (e *Engine) Hold() { e.holders.Add(1) }

// Release sends what Hold kept.
func (e *Engine) Release() {
	e.holders.Add(-1)
	for _, s := range e.shards {
		if s.holds.Load() {
			s.sendHeld()
		}
	}
}

// Together has the callbacks of answers that came together called by run: it is to
// call callbacks once, and may do what pays for several answers around that. It is
// to be set before the first question is asked.
func (e *Engine) Together(run func(callbacks func())) { e.together.Store(&run) }

const heldMost = 64 // queries of a shard

// questions is the outbox for a new question, and the time: that of those that are
// held, or one of the asker's own.
func (s *shard) questions() (*outbox, int64) {
	if s.engine.holders.Load() == 0 {
		return outboxes.Get().(*outbox), s.engine.now()
	}
	if s.held == nil {
		s.held, s.heldAt = outboxes.Get().(*outbox), s.engine.now()
		s.holds.Store(true) // before letGo looks at the holders again
	}
	return s.held, s.heldAt
}

// letGo gives the outbox of a new question to whoever is to flush it now; nil where
// it is held. Whoever released meanwhile may not have seen it: hence the second look
// at the holders.
func (s *shard) letGo(o *outbox) *outbox {
	if o == s.held {
		if len(o.sends) < heldMost && s.engine.holders.Load() > 0 {
			return nil
		}
		s.held = nil
		s.holds.Store(false)
	}
	s.bunch++
	return o
}

// sendHeld flushes what is held.
func (s *shard) sendHeld() {
	s.mu.Lock()
	o := s.held
	s.held = nil
	s.holds.Store(false)
	s.bunch++
	s.mu.Unlock()
	if o != nil {
		o.flush(s)
		outboxes.Put(o)
	}
}
