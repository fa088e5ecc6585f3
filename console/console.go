package console

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"meridian/console/certification"
	"meridian/host"
	"meridian/switch"
)

// Options of a console. Zero values take what stands beside them.
type Options struct {
	// Pool reads and, for an operator, decides. [OpenPool] makes one.
	Pool *pgxpool.Pool
	// Directory is the reference data that the host works with now.
	Directory func() *switching.Directory
	// Metrics of the host, for what is live.
	Metrics prometheus.Gatherer
	// Tap of the host's messages; nil shows none.
	Tap *host.Tap
	// Documents are Markdown files to show; nil shows none.
	Documents fs.FS
	// Now is the business clock; nil is the real one.
	Now func() time.Time
	// Clock says whose the business clock is, such as "sandbox"; empty is the real one.
	Clock string
	// MovableClock is the business clock where people may move it: in a sandbox.
	MovableClock MovableClock
	// TestTerminals is the data directory of a sandbox, with whose public terminals,
	// cards and keys messages are built and sent; empty where there are none.
	TestTerminals string
	// Stories that can be played; nil where there are none, as on a host.
	Stories Stories
	// Witness has seen of terminals what is not stored; nil certifies none, as on a
	// host.
	Witness *certification.Witness
	// Scenarios that a sandbox plays; nil plays none.
	Scenarios Scenarios
	// Open is a console that everybody on this machine may use, as a sandbox's is:
	// requests that name another host are refused, so that no web page elsewhere
	// can reach it under a name of its own.
	Open bool
	// Who does what an open console's operator does, for the audit log.
	Who     string
	Version string
	Logger  *slog.Logger
}

// Console serves the pages. [Console.Close] ends what it watches.
type Console struct {
	o      Options
	log    *slog.Logger
	assets *assets
	pages  *pages
	meter  *meter
	trial  trialCache
	// Those who signed in, where the console is not open.
	sessions sessions
	refusals onceASecond
	rows     rowCache
	livePart partCache
	handler  http.Handler

	watching context.Context //nolint:containedctx // of what goes on beside the pages, until Close
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// New makes a console, which watches the host's metrics until it is closed.
func New(o Options) (*Console, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Console{o: o, log: o.Logger, meter: newMeter(o.Metrics)}
	c.trial.wait = trialWait
	var err error
	if c.assets, err = loadAssets(); err != nil {
		return nil, err
	}
	if c.pages, err = loadPages(c.assets); err != nil {
		return nil, err
	}
	c.handler = c.guard(c.withoutCards(c.entrance(c.routes())))
	c.watching, c.stop = context.WithCancel(context.Background())
	c.running.Go(func() { c.meter.run(c.watching, c.log) })
	return c, nil
}

// Close ends what the console watches.
func (c *Console) Close() {
	c.stop()
	c.running.Wait()
}

// ServeHTTP serves one request.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// entrance has what is for everybody, and before all else those who sign in. An
// open console takes everybody for its operator.
func (c *Console) entrance(inside http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", c.assets)
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, c.assets.path("icon.svg"), http.StatusFound)
	})
	mux.HandleFunc("POST /appearance", c.appearance)
	if c.o.Open {
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			inside.ServeHTTP(w, withPerson(r, person{Name: c.o.Who, Role: RoleOperator}))
		})
		return mux
	}
	mux.Handle("GET /sign-in", c.page(c.signInPage))
	mux.HandleFunc("POST /sign-in", c.signIn)
	mux.HandleFunc("POST /sign-out", c.signOut)
	mux.Handle("/", c.signedIn(inside))
	return mux
}

func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	get := func(path string, page pageFunc) { mux.Handle("GET "+path, c.page(page)) }
	get("/{$}", c.overview)
	mux.HandleFunc("GET /overview/stream", c.overviewStream)
	get("/messages", c.messages)
	mux.HandleFunc("GET /messages/stream", c.messageStream)
	get("/messages/{number}", c.message)
	get("/transactions", c.transactions)
	get("/transactions/{rrn}", c.transaction)
	get("/batches", c.batches)
	get("/batches/{tid}/{number}", c.batch)
	get("/settlement", c.settlement)
	get("/settlement/{mid}/{date}", c.statement)
	get("/cutover", c.cutover)
	get("/ledger", c.ledgerPage)
	get("/ledger/accounts/{code}", c.account)
	get("/reviews", c.reviews)
	mux.Handle("POST /reviews/{rrn}", c.action(c.decideReview))
	get("/exceptions", c.exceptions)
	get("/audit", c.audit)
	get("/documentation", c.documents)
	get("/documentation/{name}", c.document)
	get("/documentation/{folder}/{name}", c.document)
	get("/documentation/fields/{dialect}", c.fields)
	get("/merchants", c.merchants)
	get("/merchants/{mid}", c.merchant)
	get("/terminals", c.terminals)
	get("/terminals/{tid}", c.terminal)
	mux.Handle("POST /terminals/{tid}/unlock", c.action(c.unlockTerminal))
	if c.o.MovableClock != nil {
		get("/clock", c.clockPage)
		mux.Handle("POST /clock", c.actionWithin(clockTimeout, c.moveClock))
	}
	if c.o.TestTerminals != "" {
		get("/builder", c.builder)
		mux.Handle("POST /builder", c.pageWithin(builderTimeout, c.build))
	}
	if c.o.Stories != nil {
		get("/stories", c.stories)
		get("/stories/{id}", c.story)
		mux.Handle("POST /stories/{id}", c.actionWithin(storyTimeout+writeMargin, c.playStory))
	}
	if c.o.Witness != nil {
		get("/certification", c.certification)
		get("/certification/{tid}", c.checklist)
		mux.HandleFunc("GET /certification/{tid}/report/{form}", c.checklistReport)
	}
	if c.o.Scenarios != nil {
		get("/scenarios", c.scenarios)
	}
	get("/", func(*http.Request) (*view, error) { return nil, errNotFound })
	return mux
}
