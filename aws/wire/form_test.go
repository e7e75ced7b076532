package wire_test

import (
	"strings"
	"testing"
)

const (
	answerHead = `<PutThingResponse xmlns="https://things.example/doc/2020-01-01/"><PutThingResult>`
	answerTail = `</PutThingResult><ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId>` +
		`</ResponseMetadata></PutThingResponse>`
)

func TestQueryRoundTrip(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"nothing", "", "<On>false</On><Count>0</Count><Kept></Kept>"},
		{"scalars", "Name=a%26b%3C&Colour=blue&On=true&Maybe=false&Count=-7&Ratio=0.5&Kept=k",
			"<Name>a&amp;b&lt;</Name><Colour>blue</Colour><On>true</On><Maybe>false</Maybe><Count>-7</Count>" +
				"<Ratio>0.5</Ratio><Kept>k</Kept>"},
		{"timestamps", "When=2024-02-03T04:05:06Z&date=1700000000.5",
			"<On>false</On><Count>0</Count><When>2024-02-03T04:05:06Z</When><date>2023-11-14T22:13:20.5Z</date><Kept></Kept>"},
		{"lists by number", "Sizes.member.10=3&Sizes.member.2=2&Sizes.member.1=1",
			"<On>false</On><Count>0</Count><Sizes><member>1</member><member>2</member><member>3</member></Sizes><Kept></Kept>"},
		{"empty list", "Sizes=", "<On>false</On><Count>0</Count><Sizes></Sizes><Kept></Kept>"},
		{"flat list", "Flat.1=x&Flat.2=y", "<On>false</On><Count>0</Count><Kept></Kept><Flat>x</Flat><Flat>y</Flat>"},
		{"renamed items", "Renamed.Entry.1=x", "<On>false</On><Count>0</Count><Kept></Kept><Renamed><Entry>x</Entry></Renamed>"},
		{"maps", "Tags.entry.1.key=a&Tags.entry.1.value=1&Tags.entry.2.key=b&Tags.entry.2.value=",
			"<On>false</On><Count>0</Count><Tags><entry><key>a</key><value>1</value></entry><entry><key>b</key>" +
				"<value></value></entry></Tags><Kept></Kept>"},
		{"flat maps", "Flag.1.K=a&Flag.1.V=b", "<On>false</On><Count>0</Count><Kept></Kept><Flag><K>a</K><V>b</V></Flag>"},
		{"structures", "Part.Name=p&Parts.member.1.Name=q&Parts.member.1.Parts.member.1.Name=r&Parts.member.1.Size=3",
			"<On>false</On><Count>0</Count><Part><Name>p</Name></Part><Parts><member><Name>q</Name><Parts><member><Name>r</Name>" +
				"</member></Parts><Size>3</Size></member></Parts><Kept></Kept>"},
		{"maps of structures", "ByName.entry.1.key=k&ByName.entry.1.value.Name=z",
			"<On>false</On><Count>0</Count><ByName><entry><key>k</key><value><Name>z</Name></value></entry></ByName><Kept></Kept>"},
		{"unknown members", "Nope.member.1.a=b", "<On>false</On><Count>0</Count><Kept></Kept>"},
		{"what XML cannot hold", "Name=a%00%FFb%0D", "<Name>a\uFFFD\uFFFDb&#xD;</Name><On>false</On><Count>0</Count><Kept></Kept>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, sendQuery(t, "PutThing", c.in), 200, answerHead+c.want+answerTail)
		})
	}
}

func failure(kind, code, message string) string {
	return `<ErrorResponse xmlns="https://things.example/doc/2020-01-01/"><Error><Type>` + kind + `</Type><Code>` + code +
		`</Code><Message>` + message + `</Message></Error><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>`
}

func TestQueryErrors(t *testing.T) {
	for _, c := range []struct {
		op, in string
		status int
		want   string
	}{
		{"FailThing", "", 404, failure("Sender", "NoSuchEntity", "no &lt;thing&gt; here")},
		{"PaintThing", "", 501, failure("Receiver", "NotImplemented", "Rouse does not implement PaintThing of Query Things")},
		{"NoSuch", "", 400, failure("Sender", "InvalidAction", "Could not find operation NoSuch for version 2020-01-01")},
		{"PutThing", "KeyArn=x", 501, failure("Receiver", "NotImplemented", "Rouse does not implement KeyArn of PutThing")},
		{"PutThing", "Network.Subnets.member.1=a", 501, failure("Receiver", "NotImplemented", "Rouse does not implement Network.Subnets of PutThing")},
		{"PutThing", "Old.Name=a", 501, failure("Receiver", "NotImplemented", "Rouse does not implement old things (Old of PutThing)")},
		{"PutThing", "Tracing.Mode=Active", 501, failure("Receiver", "NotImplemented",
			"Rouse does not implement &quot;Active&quot; for Tracing.Mode of PutThing, only PassThrough")},
		{"PutThing", "Count=x", 400, failure("Sender", "MalformedInput", "&quot;x&quot; can not be converted to an Integer")},
		{"PutThing", "Sizes.member.x=1", 400, failure("Sender", "MalformedInput", "&quot;x&quot; is not the number of a list item")},
		{"PutThing", "Name.a=1", 400, failure("Sender", "MalformedInput", "Start of structure or map found where not expected.")},
		{"PutThing", "Tags.entry.1.value=1", 400, failure("Sender", "MalformedInput", "A map entry has no key")},
		{"PutThing", "Part" + strings.Repeat(".Parts.member.1", 40) + "=x", 400,
			failure("Sender", "MalformedInput", "A parameter&apos;s name has more than 64 parts")},
		{"PutThing", strings.Repeat("a=b&", 10000), 400, failure("Sender", "MalformedInput", "The request has more than 10000 parameters")},
		{"PutThing", "Colour=green", 400, failure("Sender", "ValidationError", "1 validation error detected: Value 'green' at 'colour' "+
			"failed to satisfy constraint: Member must satisfy enum value set: [red, blue]")},
	} {
		expect(t, sendQuery(t, c.op, c.in), c.status, strings.ReplaceAll(c.want, "&apos;", "'"))
	}
	expect(t, sendQuery(t, "PutThing", "KeyArn=&Network.Subnets=&Old=&Tracing.Mode=PassThrough"), 200,
		answerHead+"<On>false</On><Count>0</Count><Kept></Kept>"+answerTail)
	got := send(t, queryService(), "POST", "/", "Action=PutThing&Version=1999-01-01")
	expect(t, got, 400, failure("Sender", "InvalidAction", "Could not find operation PutThing for version 1999-01-01"))
	expect(t, send(t, queryService(), "POST", "/", ""), 400, failure("Sender", "MissingAction", "Missing Action"))
	expect(t, send(t, queryService(), "GET", "/?Action=DropThing&Version=2020-01-01", ""), 200,
		`<DropThingResponse xmlns="https://things.example/doc/2020-01-01/"><ResponseMetadata><RequestId>`+
			`00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata></DropThingResponse>`)
}
