package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Time limits of a request. A profile takes 30 s by default, and may not take
// longer than writeTimeout.
const (
	readTimeout  = 10 * time.Second
	writeTimeout = 2 * time.Minute
	idleTimeout  = time.Minute
	stopTimeout  = time.Second
)

// A Server serves the pages of one Source. It is a task: Listen, then Run.
type Server struct {
	source   Source
	mux      *http.ServeMux
	http     *http.Server
	listener net.Listener
	secured  bool
	serving  atomic.Bool
	left     atomic.Bool
}

// New makes the pages of a source. Nothing is opened yet.
func New(source Source) *Server {
	s := &Server{source: source, mux: http.NewServeMux()}
	s.http = &http.Server{
		Handler:           s.mux,
		ReadHeaderTimeout: readTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
	}
	s.mux.HandleFunc("GET /{$}", s.page)
	s.mux.HandleFunc("GET /livez", s.livez)
	s.mux.HandleFunc("GET /readyz", s.readyz)
	s.mux.HandleFunc("GET /status", s.status)
	// One metric that cannot be read does not hide the others.
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(source.Registry(), promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	s.mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	s.mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	s.mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	s.mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	s.mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return s
}

// Handle adds a page of the binary's own; pattern is that of http.ServeMux.
func (s *Server) Handle(pattern string, handler http.Handler) { s.mux.Handle(pattern, handler) }

// Secure has all pages go over TLS alone. Call it before Run.
func (s *Server) Secure(config *tls.Config) {
	s.http.TLSConfig = config
	s.secured = true
}

// Listen opens the TCP address, host:port. The error names it.
func (s *Server) Listen(ctx context.Context, address string) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	s.listener = listener
	return nil
}

// Inherit goes on with a socket that another process has open too and will Leave,
// if it listens on the address; else it says so. The file stays the caller's to
// close.
func (s *Server) Inherit(file *os.File, address string) bool {
	listener, err := net.FileListener(file)
	if err != nil {
		return false
	}
	wanted, err := net.ResolveTCPAddr("tcp", address)
	have, ok := listener.Addr().(*net.TCPAddr)
	if err != nil || !ok || wanted.Port != have.Port || !sameHost(wanted.IP, have.IP) {
		listener.Close()
		return false
	}
	s.listener = listener
	return true
}

// sameHost tells whether two addresses to listen on are one: no address at all is
// every address.
func sameHost(a, b net.IP) bool {
	return a.Equal(b) || (len(a) == 0 || a.IsUnspecified()) && (len(b) == 0 || b.IsUnspecified())
}

// Socket is a copy of the socket, for another process to Inherit.
func (s *Server) Socket() (*os.File, error) { return s.listener.(*net.TCPListener).File() }

// Leave has another process serve from now on, which has the socket already.
// Requests under way are answered.
func (s *Server) Leave() {
	s.left.Store(true)
	s.listener.Close()
}

// Addr is the address that is listened on, nil before Listen.
func (s *Server) Addr() net.Addr {
	if s.listener == nil {
		return nil
	}
	return s.listener.Addr()
}

// Run serves until ctx is done, and then gives requests under way a second.
func (s *Server) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	defer context.AfterFunc(ctx, func() {
		defer close(stopped)
		limit, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if s.http.Shutdown(limit) != nil {
			s.http.Close()
		}
	})()
	s.serving.Store(true)
	defer s.serving.Store(false)
	serve := s.http.Serve
	if s.secured {
		serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
	}
	err := serve(s.listener)
	if s.left.Load() {
		<-ctx.Done()
	} else if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	<-stopped
	return nil
}

// Close closes the address without ever having run.
func (s *Server) Close() {
	if s.listener != nil {
		s.listener.Close()
	}
}

// Ready tells whether pages are served.
func (s *Server) Ready() bool { return s.serving.Load() }

func (s *Server) String() string {
	if s.listener == nil {
		return "admin"
	}
	return "admin " + s.listener.Addr().String()
}
