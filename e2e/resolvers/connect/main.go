// Connect NAME PORT resolves by Go's own resolver, and connects; build it with
// CGO_ENABLED=0. Connect -listen ADDRESS is what there is to connect to.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"time"
)

func main() {
	address := flag.String("listen", "", "take connections there, and close them")
	flag.Parse()
	err := errors.New("usage: connect NAME PORT")
	switch {
	case *address != "":
		err = listen(*address)
	case flag.NArg() == 2:
		err = connect(flag.Arg(0), flag.Arg(1))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func connect(name, port string) error {
	start := time.Now()
	conn, err := net.Dial("tcp", net.JoinHostPort(name, port))
	took := time.Since(start)
	var unresolved *net.DNSError
	switch {
	case errors.As(err, &unresolved) && unresolved.IsNotFound:
		fmt.Println("none")
	case unresolved != nil:
		fmt.Println("again")
	case err != nil:
		return err
	default:
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		fmt.Println(host, took.Microseconds())
		return conn.Close()
	}
	return nil
}

func listen(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		conn.Close()
	}
}
