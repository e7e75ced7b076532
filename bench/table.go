package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// What the rows of tables ask, and of what size: an item is about 100 bytes, as a session or a line of an order is.
const (
	tableName    = "Bench"
	tableClients = 64
	preparedPuts = 512 // different requests per connection, made ahead: signing is not what is measured
	queryItems   = 100
	transactPuts = 10
)

// tableRows are the database, signatures checked, beside a bare Go HTTP server that reads the same requests and answers as
// many bytes.
//
//	get       one read of the store: nothing to wait for
//	put       one commit, which shares its sync with the others'
//	counter   the same, all on one key: each waits for the one before, but not for its sync
//	query     one walk over 100 neighbours
//	transact  ten items in one commit
func (b *bench) tableRows() []row {
	return []row{
		{"table get", b.table(b.getItem, true)}, {"table put", b.table(b.putItem, true)},
		{"table counter", b.table(b.countItem, true)}, {"table query", b.table(b.queryItems, true)},
		{"table transact", b.table(b.transactItems, true)}, {"table latency", b.table(b.getItem, false)},
		{"table scan", b.scan},
	}
}

// table measures one kind of request, at 64 connections or, for the time that one takes, at one.
func (b *bench) table(prepare func() (operation string, next shots), rate bool) func(context.Context) (result, error) {
	return func(ctx context.Context) (result, error) {
		r := result{limitIs: "a bare Go HTTP server, same bytes in and out", unit: "req/s", more: rate}
		if err := b.makeTable(ctx); err != nil {
			return r, err
		}
		operation, next := prepare()
		answer, err := b.call(operation, string(body(next(0, 0))))
		if err != nil {
			return r, err
		}
		s, _, err := b.startLimit(ctx, "go")
		if err != nil {
			return r, err
		}
		defer s.stop()
		bare := plain("POST", s.address, fmt.Sprintf("/answer/%d", len(answer)), body(next(0, 0)))
		connections := tableClients
		if !rate {
			connections, r.unit = 1, "ms"
		}
		var limit, rouse []float64
		for range repeats {
			a, at, err := volley(ctx, s.address, connections, b.seconds, same(bare))
			if err != nil {
				return r, fmt.Errorf("the limit: %w", err)
			}
			z, zt, err := volley(ctx, b.api, connections, b.seconds, next)
			if err != nil {
				return r, err
			}
			if !rate {
				a, z = millis(at), millis(zt)
			}
			limit, rouse = append(limit, a), append(rouse, z)
		}
		r.limit, r.rouse = median(limit), median(rouse)
		return r, nil
	}
}

// body is what follows the head of a request.
func body(request []byte) []byte {
	_, after, _ := strings.Cut(string(request), "\r\n\r\n")
	return []byte(after)
}

// call makes one call of DynamoDB's API.
func (b *bench) call(operation, input string) (string, error) {
	conn, err := net.Dial("tcp", b.api)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.Write(signed(b.api, operation, []byte(input))); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", operation, resp.Status, out)
	}
	return string(out), err
}

// makeTable makes the table with what is read from it, unless it is there.
func (b *bench) makeTable(ctx context.Context) error {
	if _, err := b.call("DescribeTable", `{"TableName":"`+tableName+`"}`); err == nil {
		return nil
	}
	_, err := b.call("CreateTable", `{"TableName":"`+tableName+`","BillingMode":"PAY_PER_REQUEST",
		"AttributeDefinitions":[{"AttributeName":"pk","AttributeType":"S"},{"AttributeName":"sk","AttributeType":"S"}],
		"KeySchema":[{"AttributeName":"pk","KeyType":"HASH"},{"AttributeName":"sk","KeyType":"RANGE"}]}`)
	if err != nil {
		return err
	}
	if err := b.awaitTable(ctx); err != nil {
		return err
	}
	for i := 0; i < queryItems && ctx.Err() == nil; i++ {
		if _, err := b.call("PutItem", putInput("many", fmt.Sprintf("%03d", i))); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (b *bench) awaitTable(ctx context.Context) error {
	return until(ctx, 10*time.Second, func() error {
		out, err := b.call("DescribeTable", `{"TableName":"`+tableName+`"}`)
		if err == nil && !strings.Contains(out, `"ACTIVE"`) {
			err = fmt.Errorf("the table is not active: %s", out)
		}
		return err
	})
}

const payload = `"name":{"S":"a teapot, blue"},"price":{"N":"12.95"},"stock":{"N":"7"},"tags":{"SS":["kitchen","tea"]}`

func putInput(pk, sk string) string {
	return `{"TableName":"` + tableName + `","Item":{"pk":{"S":"` + pk + `"},"sk":{"S":"` + sk + `"},` + payload + `}}`
}

func (b *bench) always(operation, input string) (string, shots) {
	return operation, same(signed(b.api, operation, []byte(input)))
}

func (b *bench) getItem() (string, shots) {
	return b.always("GetItem", `{"TableName":"`+tableName+`","Key":{"pk":{"S":"many"},"sk":{"S":"042"}}}`)
}

// prepared makes different requests for each connection, which come round again and again.
func (b *bench) prepared(operation string, n int, input func(connection, i int) string) (string, shots) {
	all := make([][]byte, tableClients*n)
	for i := range all {
		all[i] = signed(b.api, operation, []byte(input(i/n, i%n)))
	}
	return operation, func(c, i int) []byte { return all[c*n+i%n] }
}

func (b *bench) putItem() (string, shots) {
	return b.prepared("PutItem", preparedPuts, func(c, i int) string { return putInput(fmt.Sprintf("put%d", c), fmt.Sprint(i)) })
}

func (b *bench) countItem() (string, shots) {
	return b.always("UpdateItem", `{"TableName":"`+tableName+`","Key":{"pk":{"S":"counter"},"sk":{"S":"0"}},`+
		`"UpdateExpression":"ADD n :one","ExpressionAttributeValues":{":one":{"N":"1"}}}`)
}

func (b *bench) queryItems() (string, shots) {
	return b.always("Query", `{"TableName":"`+tableName+`","KeyConditionExpression":"pk = :p","ExpressionAttributeValues":{":p":{"S":"many"}}}`)
}

func (b *bench) transactItems() (string, shots) {
	return b.prepared("TransactWriteItems", preparedPuts/8, func(c, i int) string {
		var puts []string
		for n := range transactPuts {
			puts = append(puts, `{"Put":`+putInput(fmt.Sprintf("transact%d", c), fmt.Sprint(i*transactPuts+n))+`}`)
		}
		return `{"TransactItems":[` + strings.Join(puts, ",") + `]}`
	})
}

// scan reads a table from end to end by pages of a megabyte, and says how much memory that took beyond what was in use
// before. It has no limit beside it but the page itself: what a reader of one page must hold.
func (b *bench) scan(ctx context.Context) (result, error) {
	r := result{limitIs: "ten pages of a megabyte", unit: "MiB", limit: 10}
	if err := b.fill(ctx, scanBytes); err != nil {
		return r, err
	}
	before, err := resident(b.rouse.cmd.Process.Pid)
	if err != nil {
		return r, err
	}
	most := before
	for start := ""; ctx.Err() == nil; {
		out, err := b.call("Scan", `{"TableName":"`+tableName+`"`+start+`}`)
		if err != nil {
			return r, err
		}
		now, err := resident(b.rouse.cmd.Process.Pid)
		if err != nil {
			return r, err
		}
		most = max(most, now)
		var page struct{ LastEvaluatedKey json.RawMessage }
		if err := json.Unmarshal([]byte(out), &page); err != nil {
			return r, err
		}
		if page.LastEvaluatedKey == nil {
			break
		}
		start = `,"ExclusiveStartKey":` + string(page.LastEvaluatedKey)
	}
	r.rouse = most - before
	return r, ctx.Err()
}

const (
	scanBytes = 1 << 30
	scanItem  = 40 << 10
)

// fill writes items until the table holds bytes.
func (b *bench) fill(ctx context.Context, bytes int) error {
	if err := b.makeTable(ctx); err != nil {
		return err
	}
	text := strings.Repeat("x", scanItem)
	batch := make([]string, 0, 25)
	for i := 0; i*scanItem < bytes && ctx.Err() == nil; i++ {
		batch = append(batch, fmt.Sprintf(`{"PutRequest":{"Item":{"pk":{"S":"fill%d"},"sk":{"S":"0"},"text":{"S":"%s"}}}}`, i, text))
		if len(batch) < cap(batch) {
			continue
		}
		if _, err := b.call("BatchWriteItem", `{"RequestItems":{"`+tableName+`":[`+strings.Join(batch, ",")+`]}}`); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return ctx.Err()
}
