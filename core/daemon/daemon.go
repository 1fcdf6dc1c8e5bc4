package daemon

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/strata-dns/strata/core/daemon/admin"
	"github.com/strata-dns/strata/core/daemon/control"
)

// DrainLimit is how long draining and ending may take each, unless Options say
// otherwise.
const DrainLimit = 5 * time.Second

// Options are what a Daemon is made of.
type Options struct {
	Name       string        // the program: "nodecache"
	Admin      string        // address of the HTTP pages, "" for none
	Control    string        // path of the control socket, "" for none
	ConfigFile string        // shown in /status
	Planes     []string      // the planes this binary holds, shown with the version
	DrainLimit time.Duration // 0: the constant DrainLimit
	Log        *slog.Logger  // nil: slog.Default()
}

// A Daemon runs tasks until a signal or a failure ends them, and shows them to
// people and machines meanwhile. Add everything before Run.
type Daemon struct {
	name       string
	adminAddr  string
	socketPath string
	configFile string
	drainLimit time.Duration
	log        *slog.Logger
	build      Build
	started    time.Time

	tasks    []Task
	unrun    []func() error // gives back what tasks have that never run
	page     *admin.Server
	commands control.Commands
	registry *prometheus.Registry
	status   sections
	reload   reloader

	id        string         // tells this daemon from others on its control socket
	saves     []func() error // before another process takes over
	giving    sync.Mutex     // guards heir
	heir      *heir          // the process that takes over, nil until then
	succeeded chan struct{}  // closed when there is one
	old       *predecessor   // the process we take over from, or nil

	socket  atomic.Pointer[control.Server]
	phase   atomic.Int32
	signals chan os.Signal
	exit    func(status int) // os.Exit but in tests
}

// The phases of a daemon's life.
const (
	starting int32 = iota
	running
	draining
)

// New makes a daemon with its registry, pages and built-in commands (status,
// stats, reload). From here on SIGHUP no longer kills the process; what arrives
// before Run is acted on in Run.
func New(o Options) *Daemon {
	if o.DrainLimit == 0 {
		o.DrainLimit = DrainLimit
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	d := &Daemon{
		name:       o.Name,
		adminAddr:  o.Admin,
		socketPath: o.Control,
		configFile: o.ConfigFile,
		drainLimit: o.DrainLimit,
		log:        o.Log,
		build:      ThisBuild(),
		started:    time.Now(),
		id:         rand.Text(),
		succeeded:  make(chan struct{}),
		signals:    make(chan os.Signal, 4),
		exit:       os.Exit,
	}
	d.build.Planes = o.Planes
	d.registry = d.newRegistry()
	d.page = admin.New(d)
	d.addCommands()
	signal.Notify(d.signals, syscall.SIGHUP)
	return d
}

// Add adds tasks. They start together, and are drained in reverse order: add
// last what must go first, such as the announcement of a route.
func (d *Daemon) Add(tasks ...Task) { d.tasks = append(d.tasks, tasks...) }

// AddStatus contributes a section to /status and `ctl status`: value is asked
// for anything that encoding/json can show. Sections keep their order.
func (d *Daemon) AddStatus(section string, value func() any) { d.status.add(section, value) }

// AddCommand registers commands on the control socket. One that has the name of
// a built-in replaces it.
func (d *Daemon) AddCommand(commands ...control.Command) { d.commands.Add(commands...) }

// OnReload sets what SIGHUP and `ctl reload` do. It must leave everything as it
// was when it returns an error.
func (d *Daemon) OnReload(reload func(ctx context.Context) error) { d.reload.do = reload }

// Registry is where metrics are registered, each named strata_….
func (d *Daemon) Registry() *prometheus.Registry { return d.registry }

// Log is the daemon's logger.
func (d *Daemon) Log() *slog.Logger { return d.log }

// Page is the admin server, for handlers of the binary's own.
func (d *Daemon) Page() *admin.Server { return d.page }
