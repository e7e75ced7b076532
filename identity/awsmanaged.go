package identity

import (
	"encoding/json"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// awsManaged finds a policy that AWS maintains; nil if it is not in the table below. Each call makes a copy.
//
// The table holds the policies that SAM and the tools around it attach to functions, with the documents of AWS's
// reference (https://docs.aws.amazon.com/aws-managed-policy/latest/reference/). A policy that is not here cannot be
// attached: an empty stand-in would let a deployment pass and the function fail.
func awsManaged(arn string) *Managed {
	path, ok := strings.CutPrefix(arn, "arn:aws:iam::aws:policy")
	if !ok {
		return nil
	}
	for _, row := range awsPolicies() {
		if row.path+row.name == path {
			return row.managed()
		}
	}
	return nil
}

// awsManagedARNs lists the table in its order.
func awsManagedARNs() []string {
	rows := awsPolicies()
	out := make([]string, len(rows))
	for n, row := range rows {
		out[n] = "arn:aws:iam::aws:policy" + row.path + row.name
	}
	slices.Sort(out)
	return out
}

type awsPolicy struct {
	path, name string
	version    string
	created    string // of the version, RFC 3339
	statements []grant
}

// grant is a statement that allows.
type grant struct {
	Sid       string                         `json:"Sid,omitempty"`
	Effect    string                         `json:"Effect"`
	Action    []string                       `json:"Action,omitempty"`
	NotAction []string                       `json:"NotAction,omitempty"`
	Resource  []string                       `json:"Resource"`
	Condition map[string]map[string][]string `json:"Condition,omitempty"`
}

func (p *awsPolicy) managed() *Managed {
	doc, err := json.Marshal(struct {
		Version   string
		Statement []grant
	}{"2012-10-17", p.statements})
	if err != nil {
		panic("identity: " + p.name + " does not marshal: " + err.Error())
	}
	created, err := time.Parse(time.RFC3339, p.created)
	if err != nil {
		panic("identity: " + p.name + " has no date: " + err.Error())
	}
	return &Managed{
		Account: "aws", Name: p.name, Path: p.path, ID: awsPolicyID(p.name), Created: created, Updated: created,
		Default: p.version, Versions: []Version{{ID: p.version, Document: string(doc), Created: created}},
	}
}

// awsPolicyID makes the same id of a name every time.
func awsPolicyID(name string) string {
	h := fnv.New128a()
	h.Write([]byte(name))
	sum := h.Sum(nil)
	id := []byte(idPolicy)
	for i := range 17 {
		id = append(id, idAlphabet[sum[i%len(sum)]&31])
	}
	return string(id)
}

// on allows actions of one service, named without its prefix, on all resources.
func on(service, actions string) grant {
	g := grant{Effect: "Allow", Resource: []string{"*"}}
	return g.and(service, actions)
}

// and adds actions of another service.
func (g grant) and(service, actions string) grant {
	for a := range strings.FieldsSeq(actions) {
		g.Action = append(g.Action, service+":"+a)
	}
	return g
}

func (g grant) to(resources ...string) grant { g.Resource = resources; return g }

func (g grant) sid(sid string) grant { g.Sid = sid; return g }

func (g grant) when(operator, key string, values ...string) grant {
	g.Condition = map[string]map[string][]string{operator: {key: values}}
	return g
}

const (
	writeLogs  = "CreateLogGroup CreateLogStream PutLogEvents"
	writeTrace = "PutTraceSegments PutTelemetryRecords GetSamplingRules GetSamplingTargets GetSamplingStatisticSummaries"
	linked     = "arn:aws:iam::*:role/aws-service-role/"
	anyRole    = "arn:aws:iam::*:role/*"
)

// awsPolicies is the table; it is built when asked for, which is rare, so that starting costs nothing.
func awsPolicies() []awsPolicy {
	return slices.Concat(awsExecutionRoles(), awsServiceAccess(), awsBroadAccess())
}

// awsExecutionRoles are what functions run with.
func awsExecutionRoles() []awsPolicy {
	const role = "/service-role/"
	return []awsPolicy{
		{role, "AWSLambdaBasicExecutionRole", "v1", "2015-04-09T15:03:43Z", []grant{on("logs", writeLogs)}},
		{role, "AWSLambdaBasicDurableExecutionRolePolicy", "v3", "2026-02-12T18:01:44Z", []grant{
			on("logs", writeLogs).and("lambda", "CheckpointDurableExecution GetDurableExecutionState")}},
		{role, "AWSLambdaVPCAccessExecutionRole", "v3", "2024-01-05T22:38:26Z", []grant{on("logs", writeLogs).
			and("ec2", "CreateNetworkInterface DescribeNetworkInterfaces DescribeSubnets DeleteNetworkInterface "+
				"AssignPrivateIpAddresses UnassignPrivateIpAddresses").sid("AWSLambdaVPCAccessExecutionPermissions")}},
		{role, "AWSLambdaDynamoDBExecutionRole", "v1", "2015-04-09T15:09:29Z", []grant{
			on("dynamodb", "DescribeStream GetRecords GetShardIterator ListStreams").and("logs", writeLogs)}},
		{role, "AWSLambdaSQSQueueExecutionRole", "v1", "2018-06-14T21:50:45Z", []grant{
			on("sqs", "ReceiveMessage DeleteMessage GetQueueAttributes").and("logs", writeLogs)}},
		{role, "AWSLambdaKinesisExecutionRole", "v2", "2018-11-19T20:09:24Z", []grant{
			on("kinesis", "DescribeStream DescribeStreamSummary GetRecords GetShardIterator ListShards ListStreams "+
				"SubscribeToShard").and("logs", writeLogs)}},
		{role, "AWSLambdaRole", "v1", "2015-02-06T18:41:28Z", []grant{on("lambda", "InvokeFunction")}},
		{role, "AmazonAPIGatewayPushToCloudWatchLogs", "v1", "2015-11-11T23:41:46Z", []grant{
			on("logs", "CreateLogGroup CreateLogStream DescribeLogGroups DescribeLogStreams PutLogEvents GetLogEvents "+
				"FilterLogEvents")}},
		{"/", "AWSLambdaExecute", "v1", "2015-02-06T18:40:46Z", []grant{
			on("logs", "*").to("arn:aws:logs:*:*:*"), on("s3", "GetObject PutObject").to("arn:aws:s3:::*")}},
		{"/", "AWSXRayDaemonWriteAccess", "v2", "2024-02-13T21:58:30Z", []grant{
			on("xray", writeTrace).sid("AWSXRayDaemonWriteAccess")}},
		{"/", "AWSXrayWriteOnlyAccess", "v2", "2018-08-28T23:03:04Z", []grant{on("xray", writeTrace)}},
		{"/", "CloudWatchLambdaInsightsExecutionRolePolicy", "v1", "2020-10-07T19:27:06Z", []grant{
			on("logs", "CreateLogGroup"),
			on("logs", "CreateLogStream PutLogEvents").to("arn:aws:logs:*:*:log-group:/aws/lambda-insights:*")}},
	}
}

// awsServiceAccess is access to single services.
func awsServiceAccess() []awsPolicy {
	sms := on("sms-voice", "DescribeVerifiedDestinationNumbers CreateVerifiedDestinationNumber "+
		"SendDestinationNumberVerificationCode SendTextMessage DeleteVerifiedDestinationNumber VerifyDestinationNumber "+
		"DescribeAccountAttributes DescribeSpendLimits DescribePhoneNumbers SetTextMessageSpendLimitOverride "+
		"DescribeOptedOutNumbers DeleteOptedOutNumber").when("StringEquals", "aws:CalledViaLast", "sns.amazonaws.com")
	return []awsPolicy{
		{"/", "AmazonDynamoDBFullAccess", "v15", "2021-01-29T17:38:30Z", dynamoFull()},
		{"/", "AmazonDynamoDBReadOnlyAccess", "v15", "2024-11-18T17:38:15Z", dynamoRead()},
		{"/", "AmazonS3FullAccess", "v2", "2021-09-27T20:16:37Z", []grant{on("s3", "*").and("s3-object-lambda", "*")}},
		{"/", "AmazonS3ReadOnlyAccess", "v3", "2023-08-10T21:31:39Z", []grant{
			on("s3", "Get* List* Describe*").and("s3-object-lambda", "Get* List*")}},
		{"/", "AmazonSQSFullAccess", "v1", "2015-02-06T18:41:07Z", []grant{on("sqs", "*")}},
		{"/", "AmazonSQSReadOnlyAccess", "v4", "2024-05-24T18:16:44Z", []grant{
			on("sqs", "GetQueueAttributes GetQueueUrl ListDeadLetterSourceQueues ListQueues ListMessageMoveTasks "+
				"ListQueueTags").sid("AmazonSQSReadOnlyAccess")}},
		{"/", "AmazonSNSFullAccess", "v2", "2024-09-24T22:32:05Z", []grant{
			on("sns", "*").sid("SNSFullAccess"), sms.sid("SMSAccessViaSNS")}},
		{"/", "AmazonSESFullAccess", "v1", "2015-02-06T18:41:02Z", []grant{on("ses", "*")}},
		{"/", "AmazonSSMReadOnlyAccess", "v1", "2015-05-29T17:44:19Z", []grant{on("ssm", "Describe* Get* List*")}},
		{"/", "AmazonAPIGatewayInvokeFullAccess", "v2", "2018-12-18T18:25:10Z", []grant{
			on("execute-api", "Invoke ManageConnections").to("arn:aws:execute-api:*:*:*")}},
		{"/", "AmazonAPIGatewayAdministrator", "v1", "2015-07-09T17:34:45Z", []grant{
			on("apigateway", "*").to("arn:aws:apigateway:*::/*")}},
		{"/", "AWSStepFunctionsFullAccess", "v1", "2017-01-11T21:51:32Z", []grant{on("states", "*")}},
		{"/", "AmazonEventBridgeFullAccess", "v7", "2026-02-12T17:58:25Z", eventBridgeFull()},
		{"/", "AmazonEventBridgeSchedulerFullAccess", "v4", "2026-02-12T18:03:15Z", []grant{on("scheduler", "*"),
			on("iam", "PassRole").to(anyRole).when("StringLike", "iam:PassedToService", "scheduler.amazonaws.com")}},
		{"/", "CloudWatchLogsFullAccess", "v8", "2026-02-12T18:00:33Z", []grant{
			on("logs", "*").and("cloudwatch", "GenerateQuery GenerateQueryResultsSummary").and("observabilityadmin",
				"GetS3TableIntegration ListS3TableIntegrations ListTelemetryPipelines").sid("CloudWatchLogsFullAccess")}},
		{"/", "CloudWatchLogsReadOnlyAccess", "v12", "2026-02-12T17:59:13Z", []grant{
			on("logs", "Describe* Get* List* StartQuery StopQuery TestMetricFilter FilterLogEvents StartLiveTail "+
				"StopLiveTail").and("cloudwatch", "GenerateQuery GenerateQueryResultsSummary").and("observabilityadmin",
				"ListS3TableIntegrations GetS3TableIntegration ListTelemetryPipelines").sid("CloudWatchLogsReadOnlyAccess")}},
		{"/", "CloudWatchFullAccess", "v4", "2022-11-27T13:23:49Z", []grant{
			on("autoscaling", "Describe*").and("cloudwatch", "*").and("logs", "*").and("sns", "*").
				and("iam", "GetPolicy GetPolicyVersion GetRole").and("oam", "ListSinks"),
			on("iam", "CreateServiceLinkedRole").to(linked+"events.amazonaws.com/AWSServiceRoleForCloudWatchEvents*").
				when("StringLike", "iam:AWSServiceName", "events.amazonaws.com"),
			on("oam", "ListAttachedLinks").to("arn:aws:oam:*:*:sink/*")}},
		{"/", "AWSLambda_FullAccess", "v7", "2026-02-12T18:00:51Z", lambdaFull()},
		{"/", "AWSLambda_ReadOnlyAccess", "v5", "2026-02-12T18:02:55Z", lambdaRead()},
		{"/", "SecretsManagerReadWrite", "v5", "2024-02-22T18:12:06Z", secretsReadWrite()},
	}
}

// awsBroadAccess is access to nearly everything.
func awsBroadAccess() []awsPolicy {
	return []awsPolicy{
		{"/", "AdministratorAccess", "v1", "2015-02-06T18:39:46Z", []grant{
			{Effect: "Allow", Action: []string{"*"}, Resource: []string{"*"}}}},
		{"/", "PowerUserAccess", "v12", "2026-02-12T17:59:14Z", []grant{
			{Effect: "Allow", NotAction: []string{"iam:*", "organizations:*", "account:*"}, Resource: []string{"*"}},
			on("account", "GetAccountInformation GetGovCloudAccountInformation GetPrimaryEmail ListRegions").
				and("iam", "CreateServiceLinkedRole DeleteServiceLinkedRole ListRoles").
				and("organizations", "DescribeEffectivePolicy DescribeOrganization")}},
		{"/", "IAMFullAccess", "v2", "2019-06-21T19:40:00Z", []grant{on("iam", "*").
			and("organizations", "DescribeAccount DescribeOrganization DescribeOrganizationalUnit DescribePolicy ListChildren "+
				"ListParents ListPoliciesForTarget ListRoots ListPolicies ListTargetsForPolicy")}},
		{"/", "IAMReadOnlyAccess", "v4", "2018-01-25T19:11:27Z", []grant{
			on("iam", "GenerateCredentialReport GenerateServiceLastAccessedDetails Get* List* SimulateCustomPolicy "+
				"SimulatePrincipalPolicy")}},
	}
}

func dynamoFull() []grant {
	return []grant{
		on("dynamodb", "*").and("dax", "*").
			and("application-autoscaling", "DeleteScalingPolicy DeregisterScalableTarget DescribeScalableTargets "+
				"DescribeScalingActivities DescribeScalingPolicies PutScalingPolicy RegisterScalableTarget").
			and("cloudwatch", "DeleteAlarms DescribeAlarmHistory DescribeAlarms DescribeAlarmsForMetric "+
				"GetMetricStatistics ListMetrics PutMetricAlarm GetMetricData").
			and("datapipeline", "ActivatePipeline CreatePipeline DeletePipeline DescribeObjects DescribePipelines "+
				"GetPipelineDefinition ListPipelines PutPipelineDefinition QueryObjects").
			and("ec2", "DescribeVpcs DescribeSubnets DescribeSecurityGroups").and("iam", "GetRole ListRoles").
			and("kms", "DescribeKey ListAliases").
			and("sns", "CreateTopic DeleteTopic ListSubscriptions ListSubscriptionsByTopic ListTopics Subscribe "+
				"Unsubscribe SetTopicAttributes").
			and("lambda", "CreateFunction ListFunctions ListEventSourceMappings CreateEventSourceMapping "+
				"DeleteEventSourceMapping GetFunctionConfiguration DeleteFunction").
			and("resource-groups", "ListGroups ListGroupResources GetGroup GetGroupQuery DeleteGroup CreateGroup").
			and("tag", "GetResources").and("kinesis", "ListStreams DescribeStream DescribeStreamSummary"),
		on("cloudwatch", "GetInsightRuleReport").to("arn:aws:cloudwatch:*:*:insight-rule/DynamoDBContributorInsights*"),
		on("iam", "PassRole").when("StringLike", "iam:PassedToService", "application-autoscaling.amazonaws.com",
			"application-autoscaling.amazonaws.com.cn", "dax.amazonaws.com"),
		on("iam", "CreateServiceLinkedRole").when("StringEquals", "iam:AWSServiceName", "replication.dynamodb.amazonaws.com",
			"dax.amazonaws.com", "dynamodb.application-autoscaling.amazonaws.com",
			"contributorinsights.dynamodb.amazonaws.com", "kinesisreplication.dynamodb.amazonaws.com"),
	}
}

func dynamoRead() []grant {
	return []grant{
		on("application-autoscaling", "DescribeScalableTargets DescribeScalingActivities DescribeScalingPolicies").
			and("cloudwatch", "DescribeAlarmHistory DescribeAlarms DescribeAlarmsForMetric GetMetricStatistics ListMetrics "+
				"GetMetricData").
			and("datapipeline", "DescribeObjects DescribePipelines GetPipelineDefinition ListPipelines QueryObjects").
			and("dynamodb", "BatchGetItem Describe* List* GetAbacStatus GetItem GetResourcePolicy Query Scan PartiQLSelect").
			and("dax", "Describe* List* GetItem BatchGetItem Query Scan").
			and("ec2", "DescribeVpcs DescribeSubnets DescribeSecurityGroups").and("iam", "GetRole ListRoles").
			and("kms", "DescribeKey ListAliases").and("sns", "ListSubscriptionsByTopic ListTopics").
			and("lambda", "ListFunctions ListEventSourceMappings GetFunctionConfiguration").
			and("resource-groups", "ListGroups ListGroupResources GetGroup GetGroupQuery").and("tag", "GetResources").
			and("kinesis", "ListStreams DescribeStream DescribeStreamSummary").sid("GeneralReadOnlyAccess"),
		on("cloudwatch", "GetInsightRuleReport").to("arn:aws:cloudwatch:*:*:insight-rule/DynamoDBContributorInsights*").
			sid("CCIAccess"),
	}
}

func eventBridgeFull() []grant {
	pass := func(service string) grant {
		return on("iam", "PassRole").to(anyRole).when("StringLike", "iam:PassedToService", service)
	}
	link := func(role, service string) grant {
		return on("iam", "CreateServiceLinkedRole").to(linked+service+"/"+role).
			when("StringEquals", "iam:AWSServiceName", service)
	}
	return []grant{
		on("events", "*").and("schemas", "*").and("scheduler", "*").and("pipes", "*").sid("EventBridgeActions"),
		link("AWSServiceRoleForAmazonEventBridgeApiDestinations", "apidestinations.events.amazonaws.com").
			sid("IAMCreateServiceLinkedRoleForApiDestinations"),
		link("AWSServiceRoleForSchemas", "schemas.amazonaws.com").
			sid("IAMCreateServiceLinkedRoleForAmazonEventBridgeSchemas"),
		on("secretsmanager", "CreateSecret UpdateSecret DeleteSecret GetSecretValue PutSecretValue").
			to("arn:aws:secretsmanager:*:*:secret:events!*").sid("SecretsManagerAccessForApiDestinations"),
		pass("events.amazonaws.com").sid("IAMPassRoleAccessForEventBridge"),
		pass("scheduler.amazonaws.com").sid("IAMPassRoleAccessForScheduler"),
		pass("pipes.amazonaws.com").sid("IAMPassRoleAccessForPipes"),
	}
}

func lambdaFull() []grant {
	return []grant{
		on("cloudformation", "DescribeStacks ListStackResources").and("cloudwatch", "ListMetrics GetMetricData").
			and("ec2", "DescribeSecurityGroups DescribeSubnets DescribeVpcs").and("kms", "DescribeKey ListAliases").
			and("iam", "GetPolicy GetPolicyVersion GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies "+
				"ListRoles").and("lambda", "*").and("logs", "DescribeLogGroups").
			and("states", "DescribeStateMachine ListStateMachines").and("tag", "GetResources").
			and("xray", "GetTraceSummaries BatchGetTraces"),
		on("iam", "PassRole").when("StringEquals", "iam:PassedToService", "lambda.amazonaws.com"),
		on("logs", "DescribeLogStreams GetLogEvents FilterLogEvents StartLiveTail StopLiveTail").
			to("arn:aws:logs:*:*:log-group:/aws/lambda/*"),
		on("iam", "CreateServiceLinkedRole").to(linked+"lambda.amazonaws.com/AWSServiceRoleForLambda").
			when("StringEquals", "iam:AWSServiceName", "lambda.amazonaws.com"),
	}
}

func lambdaRead() []grant {
	return []grant{
		on("cloudformation", "DescribeStacks ListStacks ListStackResources").and("cloudwatch", "GetMetricData ListMetrics").
			and("ec2", "DescribeSecurityGroups DescribeSubnets DescribeVpcs").and("kms", "ListAliases").
			and("iam", "GetPolicy GetPolicyVersion GetRole GetRolePolicy ListAttachedRolePolicies ListRolePolicies "+
				"ListRoles").and("logs", "DescribeLogGroups").and("lambda", "Get* List*").
			and("states", "DescribeStateMachine ListStateMachines").and("tag", "GetResources").
			and("xray", "GetTraceSummaries BatchGetTraces"),
		on("logs", "DescribeLogStreams GetLogEvents FilterLogEvents StartQuery StopQuery DescribeQueries "+
			"GetLogGroupFields GetLogRecord GetQueryResults StartLiveTail StopLiveTail").
			to("arn:aws:logs:*:*:log-group:/aws/lambda/*"),
	}
}

func secretsReadWrite() []grant {
	return []grant{
		on("secretsmanager", "*").
			and("cloudformation", "CreateChangeSet DescribeChangeSet DescribeStackResource DescribeStacks ExecuteChangeSet").
			and("docdb-elastic", "GetCluster ListClusters").and("ec2", "DescribeSecurityGroups DescribeSubnets DescribeVpcs").
			and("kms", "DescribeKey ListAliases ListKeys").and("lambda", "ListFunctions").
			and("rds", "DescribeDBClusters DescribeDBInstances").and("redshift", "DescribeClusters").
			and("redshift-serverless", "ListWorkgroups GetNamespace").and("tag", "GetResources").sid("BasePermissions"),
		on("lambda", "AddPermission CreateFunction GetFunction InvokeFunction UpdateFunctionConfiguration").
			to("arn:aws:lambda:*:*:function:SecretsManager*").sid("LambdaPermissions"),
		on("serverlessrepo", "CreateCloudFormationChangeSet GetApplication").
			to("arn:aws:serverlessrepo:*:*:applications/SecretsManager*").sid("SARPermissions"),
		on("s3", "GetObject").to("arn:aws:s3:::awsserverlessrepo-changesets*",
			"arn:aws:s3:::secrets-manager-rotation-apps-*/*").sid("S3Permissions"),
	}
}
