package guest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rouse-dev/rouse"
	"github.com/rouse-dev/rouse/guest"
)

// How a program of the Runtime API ends, and what its callers see.

func TestInitError(t *testing.T) {
	s := newStage(t)
	errs := s.load(guest.Function{})
	w := s.dial()
	w.send(post("init/error", "Lambda-Runtime-Function-Error-Type: Runtime.Bad\r\n", `{"errorMessage":"no database"}`))
	w.expect(202, "")
	var ie *guest.InitError
	if err := <-errs; !errors.As(err, &ie) || ie.Function.Type != "Runtime.Bad" || ie.Function.Message != "no database" {
		t.Errorf("Load: got %v, want Runtime.Bad", err)
	}
}

func TestInitErrorOfTheDying(t *testing.T) {
	s := newStage(t)
	errs := s.load(guest.Function{})
	w := s.dial()
	w.send(post("init/error", "", `{"errorType":"Runtime.Bad"}`))
	s.die("exit status 1")
	var ie *guest.InitError
	if err := <-errs; !errors.As(err, &ie) || ie.Function.Type != "Runtime.Bad" {
		t.Errorf("Load: got %v, want what the program said before it ended", err)
	}
}

func TestDiesInInit(t *testing.T) {
	s := newStage(t)
	errs := s.load(guest.Function{})
	s.die("signal: killed")
	var ie *guest.InitError
	if err := <-errs; !errors.As(err, &ie) || ie.Function.Message != "Error: Runtime exited with error: signal: killed" {
		t.Errorf("Load: got %v, want Runtime.ExitError", err)
	}
}

func TestDiesInACall(t *testing.T) {
	for name, last := range map[string]string{"silent": "", "in the middle": "POST /2018-06-01/runtime/invocation/" + callID + "/response HTTP/1.1\r\nContent-Length: 9\r\n\r\n1"} {
		t.Run(name, func(t *testing.T) {
			s, w := loaded(t)
			done := s.invoke(guest.Call{})
			w.answer()
			w.send(last)
			w.c.Close()
			s.die("exit status 2")
			o := <-done
			want := "Runtime.ExitError"
			if last != "" {
				want = "Runtime.TruncatedResponse"
			}
			o.check(t, "", want)
			if o.reply.State == guest.Alive {
				t.Error("got an instance that is alive, want one to be replaced")
			}
		})
	}
}

func TestAnswersAndDies(t *testing.T) {
	s, w := loaded(t)
	done := s.invoke(guest.Call{})
	w.answer()
	w.send(post("invocation/"+callID+"/response", "", "1"))
	s.die("exit status 0")
	(<-done).check(t, "1", "")
}

// TestHangsUp: an event is not lost on a connection whose client has gone.
func TestHangsUp(t *testing.T) {
	s, w := loaded(t)
	w.c.Close()
	x := s.dial()
	x.send("GET /2021-04-23/credentials HTTP/1.1\r\n\r\n") // the server has read the other's end by now, or soon
	x.answer()
	done := s.invoke(guest.Call{})
	x.send(getNext)
	res, body := x.answer()
	if res.StatusCode != 200 || body != `{"n":1}` {
		t.Errorf("got %d %s, want the event", res.StatusCode, body)
	}
	x.send(post("invocation/"+callID+"/response", "", "1"))
	x.expect(202, "")
	(<-done).check(t, "1", "")
}

func TestGivesUp(t *testing.T) {
	s, w := loaded(t)
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("the pool's timeout")
	var out rouse.Buffer
	done := make(chan error, 1)
	go func() {
		r, err := s.Invoke(ctx, guest.Call{ID: callID, Event: []byte("1")}, &out)
		if r.State != guest.Broken {
			t.Errorf("got state %v, want broken", r.State)
		}
		done <- err
	}()
	w.answer()
	cancel(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("got %v, want the cause", err)
	}
	w.send(post("invocation/"+callID+"/response", "", "1"))
	w.expect(400, "InvalidRequestID")
	if out.Len() != 0 {
		t.Errorf("got %q after Invoke returned, want nothing", out.String())
	}
}
