package dynamodb

import (
	"time"

	"github.com/rouse-dev/rouse/table"
)

// TableDescription is a table as AWS shows it.
type TableDescription struct {
	AttributeDefinitions       []AttributeDefinition
	TableName                  string
	KeySchema                  []KeySchemaElement
	TableStatus                string
	CreationDateTime           *time.Time
	ProvisionedThroughput      *ThroughputDescription
	TableSizeBytes             int64
	ItemCount                  int64
	TableArn                   string
	TableId                    string
	BillingModeSummary         *BillingModeSummary
	TableThroughputModeSummary *TableThroughputModeSummary
	LocalSecondaryIndexes      []IndexDescription
	GlobalSecondaryIndexes     []IndexDescription
	StreamSpecification        *StreamSpecification
	LatestStreamLabel          string
	LatestStreamArn            string
	TableClassSummary          *TableClassSummary
	DeletionProtectionEnabled  *bool
	OnDemandThroughput         *OnDemandThroughput
}

// ThroughputDescription is provisioned throughput with its history.
type ThroughputDescription struct {
	LastIncreaseDateTime   *time.Time
	LastDecreaseDateTime   *time.Time
	NumberOfDecreasesToday int64
	ReadCapacityUnits      int64
	WriteCapacityUnits     int64
}

// BillingModeSummary says how a table is paid for.
type BillingModeSummary struct {
	BillingMode                       string
	LastUpdateToPayPerRequestDateTime *time.Time
}

// TableThroughputModeSummary says it once more: AWS adds this to its answer to CreateTable, where no model has it.
type TableThroughputModeSummary struct{ TableThroughputMode string }

// TableClassSummary is the class of a table's storage.
type TableClassSummary struct {
	TableClass         string
	LastUpdateDateTime *time.Time
}

// IndexDescription is a secondary index of either kind.
type IndexDescription struct {
	IndexName             string
	KeySchema             []KeySchemaElement
	Projection            *Projection
	IndexStatus           string
	Backfilling           *bool
	ProvisionedThroughput *ThroughputDescription
	IndexSizeBytes        int64
	ItemCount             int64
	IndexArn              string
	OnDemandThroughput    *OnDemandThroughput
}

// describe shows a table.
func describe(t *table.Description) *TableDescription {
	d := &TableDescription{TableName: t.Name, KeySchema: KeySchema(t.Key), TableStatus: string(t.Status), CreationDateTime: timeOf(t.Created),
		ProvisionedThroughput: throughputOf(t.Throughput, t.Increased, t.Decreased, t.Decreases), TableSizeBytes: t.SizeBytes,
		ItemCount: t.Items, TableArn: t.ARN, TableId: t.ID, LatestStreamLabel: t.StreamLabel, LatestStreamArn: t.StreamARN,
		DeletionProtectionEnabled: &t.DeletionProtection, OnDemandThroughput: onDemandOf(t.OnDemand)}
	for _, a := range t.Attributes {
		name, typ := a.Name, a.Type.String()
		d.AttributeDefinitions = append(d.AttributeDefinitions, AttributeDefinition{&name, &typ})
	}
	if t.BillingShown {
		d.BillingModeSummary = &BillingModeSummary{BillingMode: string(t.Billing), LastUpdateToPayPerRequestDateTime: timeOf(t.BillingChanged)}
	}
	for i := range t.LocalIndexes {
		d.LocalSecondaryIndexes = append(d.LocalSecondaryIndexes, describeIndex(&t.LocalIndexes[i]))
	}
	for i := range t.GlobalIndexes {
		x := &t.GlobalIndexes[i]
		shown := describeIndex(x)
		shown.IndexStatus = string(x.Status)
		shown.ProvisionedThroughput = throughputOf(x.Throughput, x.Increased, x.Decreased, x.Decreases)
		if shown.OnDemandThroughput = onDemandOf(x.OnDemand); x.Status == table.Creating {
			shown.Backfilling = &x.Backfilling
		}
		d.GlobalSecondaryIndexes = append(d.GlobalSecondaryIndexes, shown)
	}
	if t.Stream != "" {
		on := true
		d.StreamSpecification = &StreamSpecification{StreamEnabled: &on, StreamViewType: string(t.Stream)}
	}
	if t.Class != "" {
		d.TableClassSummary = &TableClassSummary{TableClass: t.Class, LastUpdateDateTime: timeOf(t.ClassChanged)}
	}
	return d
}

// created shows a table that was just made, of which AWS says less.
func created(t *table.Description) *TableDescription {
	d := describe(t)
	if !t.DeletionProtection {
		d.DeletionProtectionEnabled = nil
	}
	if d.BillingModeSummary != nil {
		d.BillingModeSummary.LastUpdateToPayPerRequestDateTime = nil
		d.TableThroughputModeSummary = &TableThroughputModeSummary{d.BillingModeSummary.BillingMode}
	}
	for i := range d.GlobalSecondaryIndexes {
		d.GlobalSecondaryIndexes[i].Backfilling = nil
	}
	return d
}

func describeIndex(x *table.Index) IndexDescription {
	return IndexDescription{IndexName: x.Name, KeySchema: KeySchema(x.Key), Projection: projectionOf(x.Projection),
		IndexSizeBytes: x.SizeBytes, ItemCount: x.Items, IndexArn: x.ARN}
}

func throughputOf(t *table.Throughput, increased, decreased time.Time, decreases int) *ThroughputDescription {
	d := &ThroughputDescription{LastIncreaseDateTime: timeOf(increased), LastDecreaseDateTime: timeOf(decreased),
		NumberOfDecreasesToday: int64(decreases)}
	if t != nil {
		d.ReadCapacityUnits, d.WriteCapacityUnits = t.Read, t.Write
	}
	return d
}

func onDemandOf(t *table.Throughput) *OnDemandThroughput {
	if t == nil {
		return nil
	}
	return &OnDemandThroughput{MaxReadRequestUnits: &t.Read, MaxWriteRequestUnits: &t.Write}
}
