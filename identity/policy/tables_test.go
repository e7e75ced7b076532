package policy_test

import (
	"testing"

	"github.com/rouse-dev/rouse/identity/policy"
)

// TestFineGrainedAccess holds the examples of "Using IAM policy conditions for fine-grained access control" of DynamoDB's
// developer guide, with the keys that its door gives: the partition keys of a request (absent for a Scan), the attributes
// that it names (absent when it names none), what it selects and what it wants back.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
func TestFineGrainedAccess(t *testing.T) {
	const A, D, N = policy.Allow, policy.Deny, policy.None
	const (
		scores = "arn:aws:dynamodb:us-west-2:123456789012:table/GameScores"
		books  = "arn:aws:dynamodb:us-west-2:123456789012:table/books"
		index  = scores + "/index/TopScoreDateTimeIndex"
		reads  = `["dynamodb:GetItem","dynamodb:BatchGetItem","dynamodb:Query","dynamodb:PutItem","dynamodb:UpdateItem","dynamodb:DeleteItem","dynamodb:BatchWriteItem"]`
		own    = `"ForAllValues:StringEquals":{"dynamodb:LeadingKeys":["${www.amazon.com:user_id}"]`
		some   = `"dynamodb:Attributes":["UserId","TopScore"]}`
		named  = `"StringEqualsIfExists":{"dynamodb:Select":"SPECIFIC_ATTRIBUTES","dynamodb:ReturnValues":["NONE","UPDATED_OLD","UPDATED_NEW"]}`
	)
	table := func(effect, actions, condition string) string {
		return stmt(effect, actions, `["`+scores+`","`+scores+`/index/*"]`, condition)
	}
	mine := table("Allow", reads, `{`+own+`}}`)
	strict := table("Allow", `["dynamodb:*"]`, `{`+own+`},"Null":{"dynamodb:LeadingKeys":"false"}}`)
	both := table("Allow", reads, `{`+own+`,`+some+`,`+named+`}`)
	columns := table("Allow", `["dynamodb:UpdateItem","dynamodb:GetItem","dynamodb:Query","dynamodb:Scan"]`,
		`{"ForAllValues:StringEquals":{`+some+`,`+named+`}`)
	tenant := table("Allow", `"dynamodb:*"`, `{"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["${aws:PrincipalTag/tenant}-*"]}}`)
	anyTenant := table("Allow", `"dynamodb:*"`, `{"ForAnyValue:StringLike":{"dynamodb:LeadingKeys":["t1-*"]}}`)
	fixed := stmt("Allow", `["dynamodb:UpdateItem"]`, `"`+scores+`"`,
		`{"ForAllValues:StringNotLike":{"dynamodb:Attributes":["FreeGamesCount","BossLevelUnlocked"]},"StringEquals":{"dynamodb:ReturnValues":["NONE","UPDATED_OLD","UPDATED_NEW"]}}`)
	projected := stmt("Allow", `["dynamodb:Query"]`, `["`+index+`"]`,
		`{"ForAllValues:StringEquals":{"dynamodb:Attributes":["TopScoreDateTime","GameTitle","Wins"]},"StringEqualsIfExists":{"dynamodb:Select":"SPECIFIC_ATTRIBUTES"}}`)
	sealed := allow("") + "," + table("Deny", `"dynamodb:*"`, `{"ForAnyValue:StringEquals":{"dynamodb:Attributes":["Salary"]}}`)
	whole := allow("") + "," + table("Deny", `["dynamodb:GetItem","dynamodb:Query"]`, `{"Null":{"dynamodb:Attributes":"true"}}`)
	user := func(more ...string) map[string]string {
		m := map[string]string{"www.amazon.com:user_id": "u1", "aws:PrincipalTag/tenant": "t1"}
		for i := 0; i < len(more); i += 2 {
			m["dynamodb:"+more[i]] = more[i+1]
		}
		return m
	}
	for _, d := range []decision{
		{"own item", mine, "dynamodb:GetItem", scores, user("LeadingKeys", "u1"), A},
		{"somebody's item", mine, "dynamodb:GetItem", scores, user("LeadingKeys", "u2"), N},
		{"own in an index", mine, "dynamodb:Query", index, user("LeadingKeys", "u1"), A},
		{"a batch of own", mine, "dynamodb:BatchGetItem", scores, user("LeadingKeys", "u1|u1"), A},
		{"a batch with another's", mine, "dynamodb:BatchGetItem", scores, user("LeadingKeys", "u1|u2"), N},
		{"a scan is no action of it", mine, "dynamodb:Scan", scores, user(), N},
		{"another table", mine, "dynamodb:GetItem", books, user("LeadingKeys", "u1"), N},
		{"keys fold their case", mine, "dynamodb:GetItem", scores, user("leadingkeys", "u1"), A},
		{"values do not", mine, "dynamodb:GetItem", scores, user("LeadingKeys", "U1"), N},
		{"nobody's variable", mine, "dynamodb:GetItem", scores, map[string]string{"dynamodb:LeadingKeys": "u1"}, N},
		{"ForAllValues holds of no value", mine, "dynamodb:Query", scores, user(), A},
		{"so Null closes it", strict, "dynamodb:Scan", scores, user(), N},
		{"and lets keys through", strict, "dynamodb:GetItem", scores, user("LeadingKeys", "u1"), A},
		{"tenant", tenant, "dynamodb:BatchWriteItem", scores, user("LeadingKeys", "t1-a|t1-b"), A},
		{"another tenant", tenant, "dynamodb:BatchWriteItem", scores, user("LeadingKeys", "t1-a|t2-b"), N},
		{"ForAnyValue is satisfied by one", anyTenant, "dynamodb:BatchWriteItem", scores, user("LeadingKeys", "t1-a|t2-b"), A},
		{"ForAnyValue by none", anyTenant, "dynamodb:Scan", scores, user(), N},

		{"named attributes", columns, "dynamodb:GetItem", scores, user("Attributes", "UserId|TopScore"), A},
		{"one too many", columns, "dynamodb:GetItem", scores, user("Attributes", "UserId|Wins"), N},
		{"selected", columns, "dynamodb:Query", scores, user("Attributes", "TopScore", "Select", "SPECIFIC_ATTRIBUTES"), A},
		{"all selected", columns, "dynamodb:Query", scores, user("Select", "ALL_ATTRIBUTES"), N},
		{"updated", columns, "dynamodb:UpdateItem", scores, user("Attributes", "TopScore|UserId", "ReturnValues", "UPDATED_NEW"), A},
		{"all wanted back", columns, "dynamodb:UpdateItem", scores, user("Attributes", "TopScore", "ReturnValues", "ALL_NEW"), N},
		{"own attributes", both, "dynamodb:GetItem", scores, user("LeadingKeys", "u1", "Attributes", "UserId"), A},
		{"own, other attributes", both, "dynamodb:GetItem", scores, user("LeadingKeys", "u1", "Attributes", "Wins"), N},
		{"another's attributes", both, "dynamodb:GetItem", scores, user("LeadingKeys", "u2", "Attributes", "UserId"), N},

		{"free to change", fixed, "dynamodb:UpdateItem", scores, user("Attributes", "UserId|Wins", "ReturnValues", "NONE"), A},
		{"fixed", fixed, "dynamodb:UpdateItem", scores, user("Attributes", "UserId|FreeGamesCount", "ReturnValues", "NONE"), N},
		{"fixed and wanted back", fixed, "dynamodb:UpdateItem", scores, user("Attributes", "UserId", "ReturnValues", "ALL_OLD"), N},
		{"fixed, nothing said", fixed, "dynamodb:UpdateItem", scores, user("Attributes", "UserId"), N},
		{"projected", projected, "dynamodb:Query", index, user("Attributes", "Wins|GameTitle", "Select", "SPECIFIC_ATTRIBUTES"), A},
		{"not projected", projected, "dynamodb:Query", index, user("Attributes", "Losses", "Select", "SPECIFIC_ATTRIBUTES"), N},
		{"all projected", projected, "dynamodb:Query", index, user("Select", "ALL_PROJECTED_ATTRIBUTES"), N},
		{"the table is not the index", projected, "dynamodb:Query", scores, user("Attributes", "Wins"), N},

		{"sealed attribute", sealed, "dynamodb:GetItem", scores, user("Attributes", "Name|Salary"), D},
		{"other attributes", sealed, "dynamodb:GetItem", scores, user("Attributes", "Name"), A},
		{"whole item", whole, "dynamodb:GetItem", scores, user(), D},
		{"part of an item", whole, "dynamodb:GetItem", scores, user("Attributes", "Name"), A},
	} {
		t.Run(d.name, func(t *testing.T) { d.run(t, "2012-10-17") })
	}
}
