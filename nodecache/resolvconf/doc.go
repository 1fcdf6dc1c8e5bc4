// Package resolvconf keeps a host's resolv.conf(5) so that programs ask nodecache
// first and the site's recursors when it is gone.
//
// The file is read as glibc reads it (resolv/res_init.c): the last of domain and
// search decides, options add up, three name servers at most, and a keyword counts
// only at the beginning of a line with a blank behind it.
//
// A file is replaced as a whole or not at all: what was there stands beside it under
// another name before the new one takes its place, by rename(2). Where that is not
// possible, because the file is a mount of its own, it is written over in one go.
package resolvconf
