package gateway

import "strings"

// substitute replaces $name and ${name} in the templates of gateway responses. They have no other language: AWS substitutes
// simple variables there and runs no VTL. value is called for each name, which has letters, digits, underscores and
// single dots.
func substitute(text string, value func(name string) string) string {
	if strings.IndexByte(text, '$') < 0 {
		return text
	}
	var b strings.Builder
	for {
		at := strings.IndexByte(text, '$')
		if at < 0 {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(text[:at])
		rest := text[at+1:]
		braced := strings.HasPrefix(rest, "{")
		if braced {
			rest = rest[1:]
		}
		n := 0
		for n < len(rest) && nameByte(rest, n) {
			n++
		}
		name := rest[:n]
		if n == 0 || braced && !strings.HasPrefix(rest[n:], "}") {
			b.WriteByte('$') // not a variable
			text = text[at+1:]
			continue
		}
		b.WriteString(value(name))
		if text = rest[n:]; braced {
			text = text[1:]
		}
	}
}

// nameByte reports whether the byte at i belongs to a name. A dot does only when a name goes on behind it.
func nameByte(s string, i int) bool {
	c := s[i]
	if c == '.' {
		return i > 0 && i+1 < len(s) && s[i+1] != '.' && nameByte(s, i+1)
	}
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
