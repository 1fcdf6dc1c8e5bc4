package resolver

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/strata-dns/strata/core/wire"
	"github.com/strata-dns/strata/policy"
)

// CookieConfig is the section cookies: server cookies of RFC 9018. Secrets are 32
// hexadecimal digits, or the absolute path of a file that has them.
type CookieConfig struct {
	Enabled  bool   `mapstructure:"enabled"`
	Secret   string `mapstructure:"secret"`   // that cookies are made by, the same in a whole pool; "": drawn at the start
	Previous string `mapstructure:"previous"` // cookies made by it are taken as well; "": none
}

// UseCookies has rules check cookies. Its error is of type [policy.Problems].
func (r *Rules) UseCookies(c CookieConfig) error {
	if !c.Enabled {
		return nil
	}
	secret, err := readSecret("cookies.secret", c.Secret)
	if err != nil {
		return err
	}
	if c.Secret == "" {
		r.drawn = true
		rand.Read(secret[:])
	}
	if c.Previous == "" {
		r.Cookies = wire.NewCookies(secret)
		return nil
	}
	previous, err := readSecret("cookies.previous", c.Previous)
	if err != nil {
		return err
	}
	r.Cookies = wire.NewCookies(secret, previous)
	return nil
}

var errSecret = errors.New("expected 32 hexadecimal digits (openssl rand -hex 16), or the absolute path of a file that has them")

// readSecret reads the value of a key. Errors do not repeat it: it may be a secret
// with a slip of the pen.
func readSecret(key, value string) (secret wire.CookieSecret, err error) {
	if value == "" {
		return secret, nil
	}
	where := ""
	if strings.HasPrefix(value, "/") {
		text, err := os.ReadFile(value)
		if err != nil {
			return secret, policy.Problems{{Key: key, Err: err}}
		}
		where, value = value+": ", strings.TrimSpace(string(text))
	}
	if len(value) != hex.EncodedLen(len(secret)) {
		return secret, policy.Problems{{Key: key, Err: fmt.Errorf("%s%d characters; %w", where, len(value), errSecret)}}
	}
	if _, err := hex.Decode(secret[:], []byte(value)); err != nil {
		return secret, policy.Problems{{Key: key, Err: fmt.Errorf("%s%w", where, errSecret)}}
	}
	return secret, nil
}
