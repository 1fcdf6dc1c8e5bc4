// Package world is a small internet: a root, a top-level domain and zones below it,
// signed in the ways that signed zones are, and broken in some of the ways that they
// break. Keys and signatures are made by BIND's tools (dnssec-keygen, dnssec-signzone);
// who serves the zones, and where, is the test's to say.
package world
