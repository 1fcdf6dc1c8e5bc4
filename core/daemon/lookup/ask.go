package lookup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"
)

// udpSize is the largest reply taken over UDP, in octets: the size that passes
// every common path unfragmented (DNS flag day 2020).
const udpSize = 1232

// udpTries is how often a question is sent before its time is up: datagrams get lost.
const udpTries = 3

// An Answer is a reply, and how it came.
type Answer struct {
	Message   *dns.Msg
	Server    string
	Network   string        // "udp" or "tcp"
	Took      time.Duration // of the exchange that brought it
	Truncated bool          // UDP's reply was, so TCP was used
}

// Ask asks, again over TCP where the reply over UDP is truncated. Errors: no
// answer in time, nobody there, an answer that is not DNS.
func Ask(ctx context.Context, q Query) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, q.Timeout)
	defer cancel()
	message := new(dns.Msg).SetQuestion(q.Name, q.Type)
	message.SetEdns0(udpSize, q.DNSSEC)
	message.AuthenticatedData = true // we understand AD (RFC 6840 section 5.7)
	answer := &Answer{Server: q.address(), Network: "tcp"}
	if !q.TCP {
		answer.Network = "udp"
		if err := answer.askUDP(ctx, message, q.Timeout/udpTries); err != nil {
			return nil, explain(answer.Server, q, err)
		}
		answer.Truncated = answer.Message.Truncated
	}
	if q.TCP || answer.Truncated {
		answer.Network = "tcp"
		if err := answer.exchange(ctx, message); err != nil {
			return nil, explain(answer.Server, q, err)
		}
	}
	return answer, nil
}

// askUDP asks up to udpTries times, each given its share of the time.
func (a *Answer) askUDP(ctx context.Context, message *dns.Msg, share time.Duration) (err error) {
	for range udpTries {
		try, cancel := context.WithTimeout(ctx, share)
		err = a.exchange(try, message)
		cancel()
		var late net.Error
		if err == nil || !errors.As(err, &late) || !late.Timeout() {
			return err
		}
	}
	return err
}

func (a *Answer) exchange(ctx context.Context, message *dns.Msg) (err error) {
	deadline, _ := ctx.Deadline()
	client := dns.Client{Net: a.Network, UDPSize: udpSize, Timeout: time.Until(deadline)}
	a.Message, a.Took, err = client.ExchangeContext(ctx, message, a.Server)
	return err
}

func explain(server string, q Query, err error) error {
	var late net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) && late.Timeout() {
		return fmt.Errorf("lookup: no answer from %s within %s", server, q.Timeout)
	}
	return fmt.Errorf("lookup: ask %s: %w", server, err)
}
