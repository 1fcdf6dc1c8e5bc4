package command

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// A process that another one has taken over from stays until it is told to end, or
// until that one is gone.
func TestLinger(t *testing.T) {
	const text = "control: SOCKET\nlisten: [\"127.0.0.1:0\"]\ntakeover: true\n"
	for _, told := range []bool{true, false} {
		old := program(t, text, "serve", "--linger")
		old.begin(t)
		fresh := program(t, "", "serve")
		fresh.socket = old.socket
		fresh.write(t, text)
		fresh.begin(t)
		ended := make(chan error, 1)
		go func() { ended <- old.wait() }()
		until(t, "the old one has let go", func() bool {
			code, out, _ := runProgram(t, "ctl", "status", "--control", old.socket)
			return code == 0 && strings.Contains(out, fresh.config)
		})
		select {
		case err := <-ended:
			t.Fatalf("it ended: %v\n%s", err, old.out.String())
		case <-time.After(2 * lingerLook): // it has looked
		}
		if told {
			old.signal(t, syscall.SIGTERM)
			if err := <-ended; err != nil {
				t.Errorf("%v\n%s", err, old.out.String())
			}
		}
		fresh.signal(t, syscall.SIGTERM)
		if err := fresh.wait(); err != nil {
			t.Errorf("%v\n%s", err, fresh.out.String())
		}
		if told {
			continue
		}
		if err := <-ended; err == nil || !strings.Contains(old.out.String(), "linger: who took over is gone") {
			t.Errorf("%v\n%s", err, old.out.String())
		}
	}
}
