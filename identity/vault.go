package identity

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// vault holds the keys derived from Config.SealKey, one for each use, so that no sealed thing can be passed off as
// another.
type vault struct {
	atRest cipher.AEAD // secrets of access keys
	tokens cipher.AEAD // session tokens
	derive []byte      // secrets of sessions
}

func newVault(sealKey []byte) (*vault, error) {
	v := &vault{}
	var err error
	if v.atRest, err = newAEAD(sealKey, "rouse identity: access keys at rest"); err != nil {
		return nil, err
	}
	if v.tokens, err = newAEAD(sealKey, "rouse identity: session tokens"); err != nil {
		return nil, err
	}
	v.derive, err = hkdf.Key(sha256.New, sealKey, nil, "rouse identity: secrets of sessions", sha256.Size)
	return v, err
}

func newAEAD(sealKey []byte, use string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, sealKey, nil, use, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	// The nonce is drawn and put in front: after 2^32 sealings the chance that two have met is still below 2^-32.
	return cipher.NewGCMWithRandomNonce(block)
}

// seal encrypts a secret for the access key id.
func (v *vault) seal(id, secret string) []byte {
	return v.atRest.Seal(nil, nil, []byte(secret), []byte(id))
}

func (v *vault) open(id string, sealed []byte) (string, error) {
	b, err := v.atRest.Open(nil, nil, sealed, []byte(id))
	if err != nil {
		return "", fmt.Errorf("open the secret of %s: the seal key is not the one that it was sealed with", id)
	}
	return string(b), nil
}

// ticket is what a session token says.
type ticket struct {
	Kind    ticketKind
	Issued  time.Time
	Expires time.Time
	Account string
	Name    string // of the role or user; "" for root
	ID      string // unique id of it: one made again under the same name is another
	Session string // name of a role's session
}

type ticketKind byte

const (
	ticketRole ticketKind = iota + 1
	ticketUser
	ticketRoot
)

const (
	ticketFormat = 1
	tokenMax     = 2048 // bytes of a session token that are looked at
)

var errToken = errors.New("identity: not a session token of this store")

// issue seals t for the access key id and derives the secret.
func (v *vault) issue(id string, t ticket) (token, secret string) {
	b := make([]byte, 0, 160)
	b = append(b, ticketFormat, byte(t.Kind))
	b = binary.BigEndian.AppendUint64(b, uint64(t.Issued.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(t.Expires.Unix()))
	for _, s := range []string{t.Account, t.Name, t.ID, t.Session} {
		b = append(b, byte(len(s)))
		b = append(b, s...)
	}
	sealed := v.tokens.Seal(nil, nil, b, []byte(id))
	return base64.StdEncoding.EncodeToString(sealed), v.secretOf(id, sealed)
}

// redeem opens a token that was issued for the access key id.
func (v *vault) redeem(id, token string) (t ticket, secret string, err error) {
	if len(token) > tokenMax {
		return t, "", errToken
	}
	sealed, err := base64.StdEncoding.DecodeString(token)
	if err != nil || len(sealed) < v.tokens.Overhead() {
		return t, "", errToken
	}
	b, err := v.tokens.Open(nil, nil, sealed, []byte(id))
	if err != nil || len(b) < 18 || b[0] != ticketFormat {
		return t, "", errToken
	}
	t.Kind = ticketKind(b[1])
	t.Issued = time.Unix(int64(binary.BigEndian.Uint64(b[2:])), 0)
	t.Expires = time.Unix(int64(binary.BigEndian.Uint64(b[10:])), 0)
	b = b[18:]
	for _, s := range []*string{&t.Account, &t.Name, &t.ID, &t.Session} {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return t, "", errToken
		}
		*s, b = string(b[1:1+b[0]]), b[1+b[0]:]
	}
	return t, v.secretOf(id, sealed), nil
}

func (v *vault) secretOf(id string, sealed []byte) string {
	m := hmac.New(sha256.New, v.derive)
	m.Write([]byte(id))
	m.Write(sealed)
	return base64.StdEncoding.EncodeToString(m.Sum(nil)[:30])
}
