package schema

import (
	"slices"
	"strings"

	"github.com/rouse-dev/rouse"
)

// Quotas of DynamoDB (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ServiceQuotas.html).
const (
	TablesMax          = 2500 // per account
	LocalIndexesMax    = 5    // per table
	GlobalIndexesMax   = 20   // per table
	ProjectedMax       = 100  // attributes that the indexes of a table include, each index counted by itself
	IncludedMax        = 20   // attributes that one index includes
	TagsMax            = 50   // per table
	throughputMax      = 1_000_000_000_000
	onlineIndexChanges = 1 // of global indexes in one Update
)

// Check says what is wrong with a definition, in DynamoDB's order and words.
func (d *Definition) Check() error {
	if err := d.checkBilling(); err != nil {
		return err
	}
	if err := checkKey(d.Key, d.Attributes); err != nil {
		return err
	}
	names := map[string]bool{}
	for i := range d.Local {
		if err := d.checkLocal(&d.Local[i], names); err != nil {
			return err
		}
	}
	if len(d.Local) > LocalIndexesMax {
		return invalidValue("Number of LocalSecondaryIndexes exceeds per-table limit of %d", LocalIndexesMax)
	}
	for i := range d.Global {
		if err := d.checkGlobal(&d.Global[i], names); err != nil {
			return err
		}
	}
	if len(d.Global) > GlobalIndexesMax {
		return invalidValue("GlobalSecondaryIndex count exceeds the per-table limit of %d", GlobalIndexesMax)
	}
	if err := checkProjected(d.Local, d.Global); err != nil {
		return err
	}
	if err := d.checkUsed(); err != nil {
		return err
	}
	return d.checkRest()
}

func (d *Definition) checkBilling() error {
	switch d.Billing {
	case PayPerRequest:
		if d.Throughput != nil {
			return invalidValue("Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST")
		}
		return nil
	case "", Provisioned:
		if d.Throughput == nil || d.Throughput.Read == 0 || d.Throughput.Write == 0 {
			return invalidValue("ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED")
		}
		return d.Throughput.check()
	}
	return invalid("1 validation error detected: Value '%s' at 'billingMode' failed to satisfy constraint: "+
		"Member must satisfy enum value set: [PROVISIONED, PAY_PER_REQUEST]", d.Billing)
}

func (p *Throughput) check() error {
	if p.Read > throughputMax {
		return invalid("Given value %d for ReadCapacityUnits is out of bounds", p.Read)
	}
	if p.Write > throughputMax {
		return invalid("Given value %d for WriteCapacityUnits is out of bounds", p.Write)
	}
	return nil
}

// Names are the attributes of the key: one or two.
func (k Key) Names() []string {
	if k.Range == "" {
		return []string{k.Hash}
	}
	return []string{k.Hash, k.Range}
}

func attributeNames(as []Attribute) []string {
	names := make([]string, len(as))
	for i, a := range as {
		names[i] = a.Name
	}
	return names
}

// checkKey checks the key of a table.
func checkKey(k Key, as []Attribute) error {
	keys, known := k.Names(), attributeNames(as)
	if len(keys) > len(known) {
		return invalid("Invalid KeySchema: Some index key attribute have no definition")
	}
	return checkDefined(k, known)
}

// checkDefined checks the key of a table or an index against the names that have types.
func checkDefined(k Key, known []string) error {
	keys := k.Names()
	for _, name := range keys {
		if !slices.Contains(known, name) {
			return invalidValue("Some index key attributes are not defined in AttributeDefinitions. Keys: [%s], AttributeDefinitions: [%s]",
				strings.Join(keys, ", "), strings.Join(known, ", "))
		}
	}
	if k.Hash == k.Range {
		return invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
	}
	return nil
}

func (d *Definition) checkLocal(x *IndexDefinition, names map[string]bool) error {
	if d.Key.Range == "" {
		return invalidValue("Table KeySchema does not have a range key, which is required when specifying a LocalSecondaryIndex")
	}
	if err := checkDefined(x.Key, attributeNames(d.Attributes)); err != nil {
		return err
	}
	if x.Key.Range == "" {
		return invalidValue("Index KeySchema does not have a range key for index: %s", x.Name)
	}
	if x.Key.Hash != d.Key.Hash {
		return invalidValue("Index KeySchema does not have the same leading hash key as table KeySchema for index: %s. "+
			"index hash key: %s, table hash key: %s", x.Name, x.Key.Hash, d.Key.Hash)
	}
	return checkIndex(x, names)
}

func (d *Definition) checkGlobal(x *IndexDefinition, names map[string]bool) error {
	if err := checkDefined(x.Key, attributeNames(d.Attributes)); err != nil {
		return err
	}
	if err := checkIndex(x, names); err != nil {
		return err
	}
	return checkIndexThroughput(x, d.Billing)
}

func checkIndexThroughput(x *IndexDefinition, b Billing) error {
	switch {
	case b == PayPerRequest && x.Throughput != nil:
		return invalidValue("ProvisionedThroughput should not be specified for index: %s when BillingMode is PAY_PER_REQUEST", x.Name)
	case b != PayPerRequest && x.Throughput == nil:
		return invalidValue("ProvisionedThroughput is not specified for index: %s", x.Name)
	case x.Throughput != nil:
		return x.Throughput.check()
	}
	return nil
}

// checkIndex checks what all indexes have.
func checkIndex(x *IndexDefinition, names map[string]bool) error {
	p := x.Projection
	switch p.Kind {
	case "":
		return invalidValue("Unknown ProjectionType: null")
	case ProjectAll, ProjectKeys:
		if p.Attributes != nil {
			return invalidValue("ProjectionType is %s, but NonKeyAttributes is specified", p.Kind)
		}
	case ProjectInclude:
		if len(p.Attributes) == 0 {
			return invalidValue("ProjectionType is INCLUDE, but NonKeyAttributes is not specified")
		}
		if err := checkIncluded(p.Attributes); err != nil {
			return err
		}
	default:
		return invalidValue("Unknown ProjectionType: %s", p.Kind)
	}
	if names[x.Name] {
		return invalidValue("Duplicate index name: %s", x.Name)
	}
	names[x.Name] = true
	return nil
}

func checkIncluded(names []string) error {
	if len(names) > IncludedMax {
		return invalidValue("Number of NonKeyAttributes exceeds the limit of %d per index", IncludedMax)
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return invalidValue("Duplicate element in NonKeyAttributes: %s", name)
		}
	}
	return nil
}

func checkProjected(lists ...[]IndexDefinition) error {
	n := 0
	for _, list := range lists {
		for _, x := range list {
			n += len(x.Projection.Attributes)
		}
	}
	if n > ProjectedMax {
		return invalidValue("The total number of projected attributes across all indexes exceeds the limit of %d. Actual: %d", ProjectedMax, n)
	}
	return nil
}

// checkUsed refuses types of attributes that no key uses.
func (d *Definition) checkUsed() error {
	for i, a := range d.Attributes {
		if !a.Type.IsKey() {
			return invalid("Member must satisfy enum value set: [B, N, S]")
		}
		if slices.Contains(attributeNames(d.Attributes[:i]), a.Name) {
			return invalid("Attribute Name is duplicated: %s", a.Name)
		}
	}
	used := d.Key.Names()
	for _, x := range append(slices.Clone(d.Local), d.Global...) {
		for _, name := range x.Key.Names() {
			if !slices.Contains(used, name) {
				used = append(used, name)
			}
		}
	}
	if len(used) == len(d.Attributes) {
		return nil
	}
	if len(d.Local)+len(d.Global) == 0 {
		return invalidValue("Number of attributes in KeySchema does not exactly match number of attributes defined in AttributeDefinitions")
	}
	return invalidValue("Some AttributeDefinitions are not used. AttributeDefinitions: [%s], keys used: [%s]",
		strings.Join(attributeNames(d.Attributes), ", "), strings.Join(used, ", "))
}

// checkRest checks what does not depend on the rest.
func (d *Definition) checkRest() error {
	if err := CheckView(d.Stream); err != nil {
		return err
	}
	if err := checkClass(d.Class); err != nil {
		return err
	}
	if err := CheckTags(d.Tags); err != nil {
		return err
	}
	if d.CacheBytes > 0 && d.Stream != "" {
		return rouse.Errorf(rouse.Unsupported, "Rouse does not implement streams of cache tables")
	}
	return nil
}

// CheckView checks the view of a stream; "" is none.
func CheckView(v StreamView) error {
	switch v {
	case "", KeysOnly, NewImage, OldImage, NewAndOldImages:
		return nil
	}
	return invalid("1 validation error detected: Value '%s' at 'streamSpecification.streamViewType' failed to satisfy constraint: "+
		"Member must satisfy enum value set: [OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY, NEW_IMAGE]", v)
}

func checkClass(class string) error {
	switch class {
	case "", "STANDARD", "STANDARD_INFREQUENT_ACCESS":
		return nil
	}
	return invalid("Invalid table-class parameter provided. Please try again with a valid table-class value: " +
		"[STANDARD, STANDARD_INFREQUENT_ACCESS].")
}
