package apps

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ledger is a table that a template changes from one deployment to the next. The verb is its Properties.
const ledger = `
Resources:
  Ledger:
    Type: AWS::DynamoDB::Table
    %s
    Properties:
      KeySchema: [{AttributeName: id, KeyType: HASH}, {AttributeName: n, KeyType: RANGE}]
%s
Outputs:
  Table: {Value: !Ref Ledger}
`

const onDemand = `
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}, {AttributeName: n, AttributeType: N}, {AttributeName: who, AttributeType: S}]
      GlobalSecondaryIndexes:
        - {IndexName: byWho, KeySchema: [{AttributeName: who, KeyType: HASH}], Projection: {ProjectionType: ALL}}
      TimeToLiveSpecification: {AttributeName: until, Enabled: true}
      StreamSpecification: {StreamViewType: KEYS_ONLY}
      DeletionProtectionEnabled: true
      Tags: [{Key: kind, Value: one}]
`

const provisioned = `
      ProvisionedThroughput: {ReadCapacityUnits: 3, WriteCapacityUnits: 2}
      TableClass: STANDARD_INFREQUENT_ACCESS
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}, {AttributeName: n, AttributeType: N}, {AttributeName: day, AttributeType: S},
        {AttributeName: sum, AttributeType: N}]
      GlobalSecondaryIndexes:
        - {IndexName: byDay, KeySchema: [{AttributeName: day, KeyType: HASH}], Projection: {ProjectionType: KEYS_ONLY},
           ProvisionedThroughput: {ReadCapacityUnits: 1, WriteCapacityUnits: 1}}
        - {IndexName: bySum, KeySchema: [{AttributeName: day, KeyType: HASH}, {AttributeName: sum, KeyType: RANGE}],
           Projection: {ProjectionType: INCLUDE, NonKeyAttributes: [note]}, ProvisionedThroughput: {ReadCapacityUnits: 1, WriteCapacityUnits: 1}}
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      Tags: [{Key: kind, Value: two}]
`

// described is what a table says of itself.
type described struct {
	TableName                 string
	DeletionProtectionEnabled bool
	BillingModeSummary        struct{ BillingMode string }
	TableClassSummary         struct{ TableClass string }
	StreamSpecification       struct{ StreamViewType string }
	ProvisionedThroughput     struct{ ReadCapacityUnits, WriteCapacityUnits int }
	GlobalSecondaryIndexes    []struct {
		IndexName   string
		IndexStatus string
	}
}

func (n *node) describe(t *testing.T, name string) (d described, text string) {
	t.Helper()
	var all []described
	out := n.rouse(t, "table", "list", "--json")
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("rouse table list --json: got %s, want JSON: %v", out, err)
	}
	for _, d := range all {
		if d.TableName == name {
			var indexes []string
			for _, i := range d.GlobalSecondaryIndexes {
				indexes = append(indexes, i.IndexName+" "+i.IndexStatus)
			}
			return d, fmt.Sprintf("%s %s %s %v %d/%d protected:%v", d.BillingModeSummary.BillingMode, d.TableClassSummary.TableClass,
				d.StreamSpecification.StreamViewType, indexes, d.ProvisionedThroughput.ReadCapacityUnits,
				d.ProvisionedThroughput.WriteCapacityUnits, d.DeletionProtectionEnabled)
		}
	}
	return described{}, "gone"
}

// TestTableUpdates: a deployment changes a table in place, its items stay, indexes that come are filled; a change that fails
// is taken back whole; what cannot be changed in place is replaced, and a protected or retained table is not lost.
func TestTableUpdates(t *testing.T) {
	n := start(t)
	folder := filepath.Join(n.dir, "ledger")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	deploy := func(attributes, properties string) (table, said string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, "template.yaml"), fmt.Appendf(nil, ledger, attributes, properties), 0o600); err != nil {
			t.Fatal(err)
		}
		said, err := n.try(t, "deploy", folder, "--name", "ledger")
		if err != nil {
			return "", said
		}
		for line := range strings.Lines(said) {
			if words := strings.Fields(line); len(words) == 2 && words[0] == "Table" {
				table = words[1]
			}
		}
		return table, said
	}
	wants := func(table, want string) {
		t.Helper()
		if _, got := n.describe(t, table); got != want {
			t.Errorf("got the table %s, want %s", got, want)
		}
	}
	table, said := deploy("", onDemand)
	if table == "" {
		t.Fatalf("deploy: %s", said)
	}
	const first, second = "PAY_PER_REQUEST  KEYS_ONLY [byWho ACTIVE] 0/0 protected:true",
		"PROVISIONED STANDARD_INFREQUENT_ACCESS NEW_IMAGE [byDay ACTIVE bySum ACTIVE] 3/2 protected:false"
	wants(table, first)
	for i := range 30 {
		n.rouse(t, "table", "put", table, fmt.Sprintf(`{"id":"a","n":%d,"day":"monday","sum":%d,"note":"x"}`, i, i))
	}
	if now, said := deploy("", provisioned); now != table {
		t.Fatalf("update: got the table %q, want %s as it was: %s", now, table, said)
	}
	wants(table, second)
	if got := strings.Count(n.rouse(t, "table", "query", table, "monday", "--index", "bySum", "--sort", "< 10"), "\n"); got != 10 {
		t.Errorf("got %d items of the index that came, want 10", got)
	}

	// An index under another name with a wrong projection fails, after others have been dropped; all comes back.
	if now, said := deploy("", strings.Replace(onDemand, "ProjectionType: ALL", "ProjectionType: SOME", 1)); now != "" {
		t.Errorf("got an update to a projection that is none, want an error: %s", said)
	}
	wants(table, strings.Replace(second, "byDay ACTIVE bySum ACTIVE", "byDay ACTIVE bySum ACTIVE", 1))
	if got := strings.Count(n.rouse(t, "table", "query", table, "monday", "--index", "byDay"), "\n"); got != 30 {
		t.Errorf("got %d items of the index that came back, want 30", got)
	}

	// Another key is another table; the old one stays when it is to be retained.
	other, said := deploy("UpdateReplacePolicy: Retain", strings.Replace(provisioned, "AttributeName: id, AttributeType: S", "AttributeName: id, AttributeType: N", 1))
	if other == "" || other == table {
		t.Fatalf("got the table %q after its key changed its type, want another one: %s", other, said)
	}
	wants(table, second)
	if got := strings.Count(n.rouse(t, "table", "scan", table), "\n"); got != 30 {
		t.Errorf("got %d items in the table that was retained, want 30", got)
	}
	if now, said := deploy("DeletionPolicy: Delete", strings.Replace(provisioned, "AttributeName: id, AttributeType: S", "AttributeName: id, AttributeType: N", 1)+
		"      DeletionProtectionEnabled: true\n"); now != other {
		t.Fatalf("protect: got %q, want %s: %s", now, other, said)
	}
	if said, err := n.try(t, "delete", "ledger"); err == nil || !strings.Contains(said, "protected against deletion") {
		t.Errorf("got %s, want that a protected table is not deleted", said)
	}
}

// try runs a command against the node and returns all that it printed.
func (n *node) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), n.binary, args...)
	cmd.Env = n.environ()
	out, err := cmd.CombinedOutput()
	return string(out), err
}
