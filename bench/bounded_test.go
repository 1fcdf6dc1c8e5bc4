package main

import "testing"

func TestHelpless(t *testing.T) {
	s := Sample{QPS: 100, Completed: 1000, Lost: 3, RCodes: map[string]int64{"NOERROR": 900, "SERVFAIL": 100}}
	if err := helpless(&s); err != nil || s.QPS != 90 || s.Completed != 900 || s.Lost != 103 {
		t.Errorf("%+v, %v", s, err)
	}
	if err := helpless(&Sample{Completed: 2, RCodes: map[string]int64{"NOERROR": 1, "NXDOMAIN": 1}}); err == nil {
		t.Error("NXDOMAIN of a name that is there is let pass")
	}
}
