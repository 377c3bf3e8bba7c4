package app

// known is what is known of a plugin that comes with Matomo, measured on a
// seeded Matomo 5.3.0 (each plugin was switched off by itself while tracking,
// archiving, all reports, widgets and pages were asked) and read from its code.
type known struct {
	needed string   // what breaks, or gets less secure, without it; empty: nothing else does
	always bool     // cannot be switched off
	counts []string // keys of facts.Rows.Counts: any above zero is use
	option string   // begin of option names, whose value is not empty when it is used
	silent bool     // leaves no trace in the database: without one on a dashboard or in a log its use cannot be told
	other  string   // a further way, see plugins.go
}

// plugins are those of Matomo 5, by name.
var plugins = map[string]known{
	"API": {always: true}, "BulkTracking": {always: true}, "CoreAdminHome": {always: true}, "CoreConsole": {always: true},
	"CoreHome": {always: true}, "CorePluginsAdmin": {always: true}, "CoreUpdater": {always: true}, "CoreVisualizations": {always: true},
	"CoreVue": {always: true}, "FeatureFlags": {always: true}, "Installation": {always: true}, "Intl": {always: true},
	"LanguagesManager": {always: true}, "Morpheus": {always: true}, "Proxy": {always: true}, "SitesManager": {always: true},
	"UsersManager": {always: true}, "WebsiteMeasurable": {always: true},

	"Actions":          {needed: "tracking stops, and 14 reports fail"},
	"DevicesDetection": {needed: "the reports of Resolution and DevicePlugins fail"},
	"Diagnostics":      {needed: "the system check is gone, page and command"},
	"Goals":            {needed: "widgets of Live, Ecommerce and RealtimeMap fail"},
	"Login":            {needed: "nobody can log in, but with another plugin that does it"},
	"Monolog":          {needed: "pages of PrivacyManager fail"},
	"PrivacyManager":   {needed: "whole addresses of visitors are stored from that moment on"},
	"Referrers":        {needed: "the API of the visitor log fails"},
	"SegmentEditor":    {needed: "archiving and API.get fail"},
	"TwoFactorAuth":    {needed: "the second factor of every login is gone, silently"},
	"UserCountry":      {needed: "UserCountryMap fails"},
	"VisitsSummary":    {needed: "archiving fails"},

	"Annotations":           {counts: []string{"annotation"}, option: "_annotations"},
	"Contents":              {counts: []string{"log_action: contents"}},
	"CustomDimensions":      {counts: []string{"custom_dimensions: active"}},
	"CustomJsTracker":       {option: "PrivacyManager.forceCookielessTracking", other: "tracker"},
	"Dashboard":             {counts: []string{"user_dashboard"}},
	"DBStats":               {silent: true},
	"DevicePlugins":         {counts: []string{"log_visit: plugins of browsers"}},
	"Ecommerce":             {counts: []string{"site: ecommerce", "log_conversion: orders and carts"}},
	"Events":                {counts: []string{"log_action: events"}},
	"Feedback":              {},
	"GeoIp2":                {option: "usercountry.location_provider=geoip2", other: "geoip"},
	"Heartbeat":             {other: "ping", silent: true},
	"ImageGraph":            {counts: []string{"report: with graphs"}},
	"Insights":              {silent: true},
	"IntranetMeasurable":    {counts: []string{"site: intranet"}},
	"JsTrackerInstallCheck": {option: "JsTrackerInstallCheck_"},
	"Live":                  {silent: true},
	"Marketplace":           {option: "marketplace_license_key", other: "third-party"},
	"MobileAppMeasurable":   {counts: []string{"site: mobileapp"}},
	"MobileMessaging":       {counts: []string{"report: mobile"}, option: "_MobileMessagingSettings"},
	"MultiSites":            {counts: []string{"site: beyond the first"}},
	"Overlay":               {silent: true},
	"PagePerformance":       {counts: []string{"log_link_visit_action: timings"}},
	"ProfessionalServices":  {},
	"Resolution":            {counts: []string{"log_visit: resolution"}},
	"RssWidget":             {},
	"ScheduledReports":      {counts: []string{"report: not deleted"}},
	"SEO":                   {},
	"TagManager":            {counts: []string{"tagmanager_container: active"}},
	"Tour":                  {},
	"Transitions":           {silent: true},
	"UserCountryMap":        {silent: true},
	"UserId":                {counts: []string{"log_visit: user ids"}},
	"UserLanguage":          {counts: []string{"log_visit: languages"}},
	"VisitFrequency":        {silent: true},
	"VisitorInterest":       {silent: true},
	"VisitTime":             {silent: true},
	"Widgetize":             {silent: true},
}
