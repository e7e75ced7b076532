package api

import (
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/rouse-dev/rouse"
)

// FuzzImport: no document breaks the room, and what it takes compiles. Inside, as a store under the fuzzer would take all
// the time.
func FuzzImport(f *testing.F) {
	for _, file := range []string{"sam-http.json", "sam-rest-swagger.json", "sam-rest-openapi.json"} {
		b, err := os.ReadFile(filepath.Join("openapi", "testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"openapi":"3.0.1","info":{"title":"t"},"paths":{"/a/{b}/{c+}":{"x-amazon-apigateway-any-method":{` +
		`"responses":{"200":{"headers":{"X":{}}}},"x-amazon-apigateway-integration":{"type":"mock",` +
		`"requestTemplates":{"a/b":"{statusCode:200}"},"responses":{"4..":{"statusCode":200,` +
		`"responseParameters":{"method.response.header.X":"'y'"}}}}}}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := parse(body, BasepathPrepend)
		if err != nil {
			check(t, body, err)
			return
		}
		e := &edit{document: &document{HTTP: &httpDocument{}}, ids: mrand.NewChaCha8([32]byte{})}
		if err := e.importHTTP(doc); err != nil {
			check(t, body, err)
		} else if st := compiled(e.HTTP.design()); len(e.HTTP.Routes) > 0 && !serves(st) {
			t.Errorf("%d routes of %q, and none is served", len(e.HTTP.Routes), body)
		}
		root := "root"
		e = &edit{document: &document{REST: &restDocument{API: RESTAPI{RootResourceID: root}, Resources: []RESTResource{{ID: root, Path: "/"}}}},
			ids: mrand.NewChaCha8([32]byte{})}
		if err := e.importREST(doc, RESTImport{}); err != nil {
			check(t, body, err)
		} else if st := compiled(e.REST.design()); len(doc.Operations) > 0 && !serves(st) {
			t.Errorf("%d operations of %q, and none is served", len(doc.Operations), body)
		}
	})
}

// check fails on errors that would be answered as our own.
func check(t *testing.T, body []byte, err error) {
	if rouse.KindOf(err) == rouse.Internal {
		t.Errorf("import of %q: %v is of kind internal", body, err)
	}
}

func compiled(ds *design) *Stage {
	st := &Stage{design: ds, Deployment: "d"}
	st.compile(stageSettings{Name: "s"}, nil)
	return st
}

func serves(st *Stage) bool {
	for range st.Routes.All() {
		return true
	}
	return false
}
