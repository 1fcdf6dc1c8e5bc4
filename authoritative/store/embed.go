package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
)

// EmbedOptions describe a member of an etcd cluster. Only Dir must be set.
type EmbedOptions struct {
	Dir       string // made where it is missing, mode 0700
	Name      string // of the member, default "strata"
	ClientURL string // to listen on, default http://127.0.0.1:2379; port 0 is any free one
	PeerURL   string // to listen on, default http://127.0.0.1:2380
	// InitialCluster gives the peer URLs of all members by name. Empty: this
	// member alone.
	InitialCluster map[string]string
	Join           bool          // the cluster exists, and this member was added to it
	Token          string        // keeps clusters apart that share addresses, default "strata"
	Quota          int64         // octets of database, default 4 GiB
	Retention      time.Duration // history kept before it is compacted, default 1h
	Ready          time.Duration // longest wait for a leader, default 30s
	Log            *slog.Logger  // default slog.Default()

	noSync bool // tests don't wait for disks
}

// A Member is an etcd server in this process.
type Member struct {
	etcd    *embed.Etcd
	lock    *os.File
	hush    *atomic.Bool // set: its log is for those who look into it
	failed  chan struct{}
	stop    sync.Once
	stopped chan struct{}
	quit    chan struct{}
}

// Embed starts a member and waits until it has a leader. Errors: a directory
// that can't be used or is used by another process, an address in use, no leader
// within opts.Ready.
//
// What etcd cannot go on after, such as a failing disk, ends the process: a
// member must not live on with half a memory.
func Embed(ctx context.Context, opts EmbedOptions) (*Member, error) {
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	cfg, err := opts.config()
	if err != nil {
		return nil, fmt.Errorf("embed etcd: %w", err)
	}
	lock, err := claim(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("embed etcd: %w", err)
	}
	hush := &atomic.Bool{}
	hush.Store(true)
	etcd, err := launch(cfg, zapToSlog(opts.Log, "etcd", hush))
	hush.Store(false)
	if err != nil {
		if !errors.Is(err, errGaveUp) {
			lock.Close()
		}
		return nil, fmt.Errorf("embed etcd in %s: %w", opts.Dir, err)
	}
	m := &Member{etcd: etcd, lock: lock, hush: hush, failed: make(chan struct{}), stopped: make(chan struct{}), quit: make(chan struct{})}
	go m.attend()
	if err := m.ready(ctx, opts.Ready); err != nil {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return nil, errors.Join(fmt.Errorf("embed etcd in %s: %w", opts.Dir, err), m.Stop(bounded))
	}
	return m, nil
}

func (m *Member) ready(ctx context.Context, within time.Duration) error {
	if within <= 0 {
		within = 30 * time.Second
	}
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-m.etcd.Server.ReadyNotify():
		return nil
	case <-m.failed:
		return errors.New("the member stopped while starting")
	case <-timer.C:
		return fmt.Errorf("no leader within %s: are enough members of the cluster up", within)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// attend notices a member that ends by itself: removed from its cluster, or a
// listener that broke.
func (m *Member) attend() {
	select {
	case <-m.quit:
	case <-m.etcd.Server.StopNotify():
		m.fail()
	case _, open := <-m.etcd.Err():
		if open {
			m.fail()
		}
	}
}

func (m *Member) fail() {
	select {
	case <-m.quit:
	default:
		close(m.failed)
	}
}

// Failed is closed when the member has stopped by itself.
func (m *Member) Failed() <-chan struct{} { return m.failed }

// Endpoints are the URLs that clients on this machine reach the member at.
func (m *Member) Endpoints() []string {
	urls := make([]string, len(m.etcd.Clients))
	for i, l := range m.etcd.Clients {
		urls[i] = "http://" + reachable(l.Addr())
	}
	return urls
}

// reachable puts loopback in the place of the address that means all.
func reachable(addr net.Addr) string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		return addr.String()
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// Stop ends the member. It returns when the member has ended or ctx has: then
// with an error, while the member goes on ending.
func (m *Member) Stop(ctx context.Context) error {
	m.stop.Do(func() {
		close(m.quit)
		m.hush.Store(true)
		go func() {
			select {
			case <-m.etcd.Server.ReadyNotify():
			default: // Close would wait for it to be
				m.etcd.Server.Stop()
			}
			m.etcd.Close()
			m.lock.Close()
			close(m.stopped)
		}()
	})
	select {
	case <-m.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop embedded etcd: %w", ctx.Err())
	}
}

// claim makes the directory and locks it: etcd itself would wait without end for
// the other process to go.
func claim(dir string) (*os.File, error) {
	if dir == "" {
		return nil, errors.New("no directory given")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "strata.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("directory %s is used by another process: %w", dir, err)
	}
	return lock, nil
}

func (o *EmbedOptions) config() (*embed.Config, error) {
	cfg := embed.NewConfig()
	cfg.Dir = o.Dir
	if cfg.Name = o.Name; o.Name == "" {
		cfg.Name = "strata"
	}
	client, err := listenURL(o.ClientURL, embed.DefaultListenClientURLs)
	if err != nil {
		return nil, fmt.Errorf("client URL: %w", err)
	}
	peer, err := listenURL(o.PeerURL, embed.DefaultListenPeerURLs)
	if err != nil {
		return nil, fmt.Errorf("peer URL: %w", err)
	}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{*peer}, []url.URL{*peer}
	cfg.InitialClusterToken = "strata"
	if o.Token != "" {
		cfg.InitialClusterToken = o.Token
	}
	cfg.InitialCluster = cfg.Name + "=" + peer.String()
	if len(o.InitialCluster) > 0 {
		var members []string
		for _, name := range slices.Sorted(maps.Keys(o.InitialCluster)) {
			members = append(members, name+"="+o.InitialCluster[name])
		}
		cfg.InitialCluster = strings.Join(members, ",")
	}
	if o.Join {
		cfg.ClusterState = embed.ClusterStateFlagExisting
	}
	if cfg.QuotaBackendBytes = o.Quota; o.Quota <= 0 {
		cfg.QuotaBackendBytes = 4 << 30
	}
	cfg.AutoCompactionMode = embed.CompactorModePeriodic
	cfg.AutoCompactionRetention = time.Hour.String()
	if o.Retention > 0 {
		cfg.AutoCompactionRetention = o.Retention.String()
	}
	cfg.WatchProgressNotifyInterval = time.Minute
	cfg.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration // 0 would tell of each request
	cfg.EnableGRPCGateway = false                                              // JSON over HTTP, which nobody here speaks
	cfg.GRPCAdditionalServerOptions = []grpc.ServerOption{grpc.StaticStreamWindowSize(credit), grpc.StaticConnWindowSize(credit), grpc.NumStreamWorkers(handlers)}
	cfg.UnsafeNoFsync = o.noSync
	return cfg, nil
}

// handlers are goroutines of a member that take requests, each with the stack that it needs:
// a new one for each request begins by growing it, which takes as long as the request. A
// watch keeps one; where there are none left, requests have new ones.
const handlers = 8

func listenURL(s, byDefault string) (*url.URL, error) {
	if s == "" {
		s = byDefault
		s = strings.Replace(s, "localhost", "127.0.0.1", 1)
	}
	u, err := url.Parse(s)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" || u.Port() == "" {
		return nil, fmt.Errorf("%s: want http://ADDRESS:PORT", s)
	}
	return u, nil
}

// errGaveUp is etcd having stopped half-way: what it had opened by then stays
// open, and so its directory claimed, until the process ends.
var errGaveUp = errors.New("etcd gave up starting")

// launch starts etcd, which panics, or ends the process by its logger, when it
// finds its data damaged. While it starts, that becomes an error.
func launch(cfg *embed.Config, log *zap.Logger) (etcd *embed.Etcd, err error) {
	hook := &fatalHook{}
	hook.starting.Store(true)
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(log.WithOptions(zap.WithFatalHook(hook), zap.WithPanicHook(hook)))

	err = errGaveUp
	done := make(chan struct{})
	go func() {
		defer close(done) // also where the hook ends this goroutine
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%w: %v", errGaveUp, p)
			}
		}()
		etcd, err = embed.StartEtcd(cfg)
	}()
	<-done
	hook.starting.Store(false)
	if said := hook.said.Load(); said != nil && errors.Is(err, errGaveUp) {
		err = fmt.Errorf("%w: %s", errGaveUp, *said)
	}
	return etcd, err
}
