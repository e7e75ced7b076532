// Package wire lets a service of AWS be declared as a table of operations over plain Go structs, and speaks the AWS wire
// protocols for it: JSON 1.0 and 1.1, query with XML answers, and REST-JSON.
//
// # Declaring a service
//
// A service package holds its inputs and outputs as structs with tags, and one function that returns the table:
//
//	type GetThingInput struct {
//		Name    string            `wire:"Name,uri,required" max:"64" pattern:"[a-zA-Z0-9-_]+"`
//		Detail  *bool             `wire:"detail,query"`
//		Legacy  json.RawMessage   `unsupported:"legacy things"`
//	}
//	type GetThingOutput struct {
//		Name    string
//		Colour  Colour            // a named string type is a string
//		Created time.Time         // epoch seconds in JSON, ISO 8601 in XML, or as the tag says
//		Tags    map[string]string // nil is left out, an empty map is sent
//	}
//
//	func (d *Door) Service() wire.Service {
//		return wire.Service{
//			Name: "things", Title: "Things", Protocol: wire.RESTJSON, Errors: wire.RESTJSONErrors(),
//			Operations: []wire.Operation{
//				wire.Op("GetThing", "GET /2020-01-01/things/{Name}", d.needThing, d.getThing),
//				wire.Op("PutThing", "PUT /2020-01-01/things/{Name} 201", d.needPut, d.putThing,
//					wire.Refuse("KMSKeyArn", "Network.Subnets"), wire.Differs("the colour is always blue")),
//			},
//			NotImplemented: []string{"PaintThing POST /2020-01-01/things/{Name}/paint"},
//		}
//	}
//
//	func (d *Door) needThing(ctx context.Context, from rouse.Origin, in *GetThingInput) ([]rouse.Need, error)
//	func (d *Door) getThing(ctx context.Context, from rouse.Origin, in *GetThingInput) (*GetThingOutput, error)
//
// The door (package aws) and the Caller run every operation by the same steps: decode, validate, needs, authorise,
// handle, encode. needs sees an input that has been validated. wiretest.Check belongs into each service's tests.
//
// # Tags
//
// A field without tags is a member of the body under the field's own name. Unexported fields are ignored, embedded
// structs are merged into the outer one.
//
//	wire:"name,options"   name on the wire ("" keeps the field's name); "-" leaves the field out
//	  uri                   REST: a label of the path, {name} or the greedy {name+}
//	  query                 REST: a query parameter; lists repeat it; map[string]string takes all that no one else does
//	  header                REST: a header
//	  prefix                REST: all headers that start with name, into a map[string]string
//	  payload               REST: the body itself: []byte or io.Reader as raw bytes, a struct as JSON. In an output also
//	                        io.ReadCloser and Stream
//	  status                REST output: the HTTP status, an int
//	  required              must be present; AWS answers "Member must not be null"
//	  flat                  query and XML: a list or map without a wrapping element
//	  item=N key=N value=N  query and XML: names inside a list or map; "member", "key" and "value" by default
//	  iso8601, epoch, http  the format of a timestamp, where it is not the protocol's own
//	  omitempty             output: left out when zero
//	  keep                  output: an empty string is sent
//	  sensitive             its value is not repeated in validation errors
//	name:"N"              its name in the JSON of Caller, where that is not the name on the wire (for body members) or the
//	                      name of the field (for the others)
//	min:"1" max:"64"      length of a string, blob, list or map, or the value of a number
//	pattern:"re"          must match as a whole; AWS's regular expressions are written as Go's
//	enum:"A|B"            allowed values
//	eachmin, eachmax, eachpattern, eachenum   the same for the items of a list or the keys of a map
//	valuemin, valuemax    the same for the length of the values of a map
//	unsupported:"what"    AWS has it, Rouse does not: refused by Kind Unsupported when set to anything but null, "",
//	                      false, [] or {}
//
// Constraints of optional fields apply when the member is present; for fields that are not pointers, "" and 0 count as
// absent. Use pointers where absent and zero differ; a required number or boolean has to be one. In
// outputs nil pointers, slices and maps, the zero time and empty strings are left out; numbers and booleans are always
// sent. The value of a tag is a string that clients expect even when empty: that is what keep is for.
//
// Field types: string kinds, bool, integers, floats, []byte (base64), time.Time, json.RawMessage and any (JSON
// protocols only: passed through), structs, slices, map[string]T, and pointers to these. In the JSON protocols a type may
// also read and write itself (Decoder, Appender), so that data of a form of its own streams straight between the body and
// its package; and an input may have something to do before its constraints are checked (Preparer).
//
// # Unknown members
//
// AWS ignores members that it does not know, and so does the decoder: SDKs are newer than servers. But a member that
// AWS has and Rouse does not implement is never ignored. The table says which: by the tag unsupported where the struct
// has the field anyway, by Refuse where it has not.
//
// # Promises
//
// Plans of types are compiled at first use and shared. Tables are immutable once compiled and safe for concurrent use.
// Decoders bound depth, members and sizes, never panic on hostile input (fuzzed), and answer Kind Invalid. Errors of
// Kind Internal, or of no kind, reach a client as a generic text and the request id.
//
// Left to others: who asks and whether it may (packages aws and sigv4), HTTP itself, audit.
package wire

import "github.com/rouse-dev/rouse"

// Protocol is how a service speaks.
type Protocol uint8

// The protocols.
const (
	JSON10   Protocol = iota + 1 // POST /, X-Amz-Target, application/x-amz-json-1.0
	JSON11                       // the same as application/x-amz-json-1.1
	Query                        // POST /, Action=…&Version=… as a form, XML answers
	RESTJSON                     // routes, JSON bodies
)

func (p Protocol) String() string {
	switch p {
	case JSON10:
		return "json-1.0"
	case JSON11:
		return "json-1.1"
	case Query:
		return "query"
	case RESTJSON:
		return "rest-json"
	}
	return "unknown"
}

// Service is the table of one service. It is data: make it with a literal, give it to aws.New, do not change it then.
type Service struct {
	Name        string   // what Caller and COMPATIBILITY.md call it: "lambda", "apigatewayv2"
	SigningName string   // of the signature's scope where it differs: "apigateway" for apigatewayv2. Default Name
	Title       string   // for people: "AWS Lambda"
	Protocol    Protocol // required
	Global      bool     // takes requests signed for us-east-1 in every region, as IAM and STS do
	// TargetPrefix of X-Amz-Target without the dot: "Logs_20140328". JSON protocols only.
	TargetPrefix string
	Version      string // the API's version, "2010-05-08". Query only: a request that names another is refused
	Namespace    string // of the XML answers: "https://iam.amazonaws.com/doc/2010-05-08/". Query only

	Operations []Operation
	// NotImplemented lists operations that AWS has and Rouse has not: "Name", for REST services
	// "Name METHOD /path/{label}" so that they can be told apart. They are refused by Kind Unsupported.
	NotImplemented []string

	// Errors maps every Kind to the code and status that clients of this service expect; start from JSONErrors,
	// QueryErrors or RESTJSONErrors. An error's own Code takes precedence over the table's.
	Errors Errors
	// Statuses gives the HTTP status of single codes where the kind's does not fit: {"PreconditionFailedException": 412}.
	Statuses map[string]int
	// FormID is how clients are shown a request's id, where that has a form of its own; nil: as the log has it.
	FormID func(id string) string
	// CRC32 adds the header x-amz-crc32 to answers, which clients of DynamoDB check. JSON protocols only.
	CRC32 bool
	// Classes is the Java package of the service's own shapes, "com.amazonaws.dynamodb.v20120810", where JSON of the wrong
	// type is to be answered in the words of its Java decoder; Go's types are then called as AWS's shapes.
	Classes string
	// Validation is the code of violated constraints; default "ValidationException", for Query "ValidationError".
	Validation string
	// Malformed is the code of a body that cannot be read; default "SerializationException", for Query "MalformedInput".
	Malformed string
	// ErrorMembers adds members to the JSON body of an error, such as Lambda's {"Type":"User"}, or replaces "message";
	// a nil value takes the member out. May be nil. err's cause is the handler's own error, for errors with data.
	ErrorMembers func(code string, err *rouse.Error) map[string]any
	// BodyMax limits the bodies of operations that do not say BodyMax themselves. Default BodyDefault.
	BodyMax int64
}

// BodyDefault is the limit of a request's body unless service or operation say otherwise.
const BodyDefault = 4 << 20

// Errors is the wire form of every Kind, indexed by it.
type Errors [rouse.KindCount]WireError

// WireError is the code and HTTP status of a Kind.
type WireError struct {
	Code   string
	Status int
}

// With returns a copy of e in which kind answers code and status.
func (e Errors) With(kind rouse.Kind, code string, status int) Errors {
	e[kind] = WireError{code, status}
	return e
}

// JSONErrors is the usual table of a JSON 1.0 or 1.1 service.
func JSONErrors() Errors {
	return Errors{
		rouse.Internal:        {"InternalServerError", 500},
		rouse.Invalid:         {"ValidationException", 400},
		rouse.NotFound:        {"ResourceNotFoundException", 400},
		rouse.Exists:          {"ResourceAlreadyExistsException", 400},
		rouse.Conflict:        {"ConflictException", 400},
		rouse.Unauthenticated: {"UnrecognizedClientException", 400},
		rouse.Denied:          {"AccessDeniedException", 400},
		rouse.TooLarge:        {"RequestEntityTooLargeException", 413},
		rouse.Throttled:       {"ThrottlingException", 400},
		rouse.Limit:           {"LimitExceededException", 400},
		rouse.Timeout:         {"RequestTimeoutException", 408},
		rouse.Unavailable:     {"ServiceUnavailableException", 503},
		rouse.Unsupported:     {"NotImplementedException", 501},
	}
}

// RESTJSONErrors is the usual table of a REST-JSON service.
func RESTJSONErrors() Errors {
	return Errors{
		rouse.Internal:        {"ServiceException", 500},
		rouse.Invalid:         {"BadRequestException", 400},
		rouse.NotFound:        {"ResourceNotFoundException", 404},
		rouse.Exists:          {"ResourceConflictException", 409},
		rouse.Conflict:        {"ResourceConflictException", 409},
		rouse.Unauthenticated: {"UnrecognizedClientException", 403},
		rouse.Denied:          {"AccessDeniedException", 403},
		rouse.TooLarge:        {"RequestTooLargeException", 413},
		rouse.Throttled:       {"TooManyRequestsException", 429},
		rouse.Limit:           {"LimitExceededException", 429},
		rouse.Timeout:         {"RequestTimeoutException", 408},
		rouse.Unavailable:     {"ServiceUnavailableException", 503},
		rouse.Unsupported:     {"NotImplementedException", 501},
	}
}

// QueryErrors is the usual table of a query service.
func QueryErrors() Errors {
	return Errors{
		rouse.Internal:        {"InternalFailure", 500},
		rouse.Invalid:         {"ValidationError", 400},
		rouse.NotFound:        {"NoSuchEntity", 404},
		rouse.Exists:          {"EntityAlreadyExists", 409},
		rouse.Conflict:        {"ConcurrentModification", 409},
		rouse.Unauthenticated: {"InvalidClientTokenId", 403},
		rouse.Denied:          {"AccessDenied", 403},
		rouse.TooLarge:        {"RequestEntityTooLarge", 413},
		rouse.Throttled:       {"Throttling", 400},
		rouse.Limit:           {"LimitExceeded", 409},
		rouse.Timeout:         {"RequestTimeout", 408},
		rouse.Unavailable:     {"ServiceUnavailable", 503},
		rouse.Unsupported:     {"NotImplemented", 501},
	}
}
