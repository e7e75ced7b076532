package wiretest

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rouse-dev/rouse/aws/wire"
)

// CheckModel fails t for what Ignored finds in the models of every botocore on this machine. service is a folder below
// botocore's data, "iam/2010-05-08". Without botocore t is skipped, unless CI=true says that it must not be: getenv is
// os.Getenv.
func CheckModel(t testing.TB, getenv func(string) string, s wire.Service, service string) {
	t.Helper()
	var names []string
	for _, packages := range []string{"/usr/lib/python3*/dist-packages", "/usr/local/lib/python3*/*-packages",
		getenv("HOME") + "/.pyenv/versions/*/lib/python3*/site-packages"} {
		found, err := filepath.Glob(filepath.Join(packages, "botocore/data", service, "service-2.json*"))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	if len(names) == 0 && getenv("CI") == "true" {
		t.Fatalf("CI must have botocore's model of %s", service)
	} else if len(names) == 0 {
		t.Skipf("no botocore with a model of %s is on this machine", service)
	}
	for _, name := range names {
		b, err := readModel(name)
		if err != nil {
			t.Fatal(err)
		}
		ignored, err := Ignored(s, b)
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range ignored {
			t.Errorf("%s is neither implemented nor refused, and is in %s", what, name)
		}
	}
}

// readModel reads a model, which newer versions of botocore compress.
func readModel(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if !strings.HasSuffix(name, ".gz") {
		return io.ReadAll(f)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(z)
	return b, errors.Join(err, z.Close())
}
