package upstream

// A Tender receives the replies of a share of an engine, in the stead of that share's
// own goroutine: for whoever waits for other packets, too, in a loop of his own. A
// question that he asks and its reply then change no thread. It belongs to one
// goroutine, and must be closed.
type Tender struct {
	shard *shard
	r     receiver
	over  bool
}

// Tend takes over a share that nobody tends yet; nil where there is none.
func (e *Engine) Tend() *Tender {
	for _, s := range e.shards {
		if s.hire() {
			return &Tender{shard: s, r: receiver{batch: newBatch()}}
		}
	}
	return nil
}

// FD is readable when Turn has something to do; -1 from the end of the engine on.
func (t *Tender) FD() int {
	if t.over {
		return -1
	}
	return t.shard.epoll.fd
}

// Awaits reports whether replies are to be expected.
func (t *Tender) Awaits() bool { return t.shard.awaited.Load() }

// Turn takes replies that have come, some sixty at most, and calls back who asked. It
// does not wait.
func (t *Tender) Turn() {
	if t.over {
		return
	}
	s := t.shard
	if s.read(s.epoll.now(), &t.r) && s.poked() {
		t.over = true
		s.engine.running.Done()
	}
}

// Close gives the share back to its own goroutine.
func (t *Tender) Close() {
	s := t.shard
	s.mu.Lock()
	s.tended = false
	s.mu.Unlock()
	if t.over {
		return
	}
	t.over = true
	_ = s.epoll.attach() // or else a thread waits
	go s.receive()
}

// hire has the receiving goroutine stop. It reports false where somebody has already,
// or where there is nothing to receive any more.
func (s *shard) hire() bool {
	s.mu.Lock()
	if s.closed || s.tended {
		s.mu.Unlock()
		return false
	}
	s.tended = true
	rests := make(chan struct{})
	s.rests = rests
	s.mu.Unlock()
	s.epoll.poke()
	<-rests
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.over
}

// yields ends the receiving goroutine where somebody waits for that.
func (s *shard) yields() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rests == nil {
		return false
	}
	s.epoll.detach()
	s.letTend()
	return true
}

// letTend tells who waits to tend the shard that nobody receives. The lock is held.
func (s *shard) letTend() {
	if s.rests != nil {
		close(s.rests)
		s.rests = nil
	}
}
