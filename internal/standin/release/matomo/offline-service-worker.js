var matomoAnalytics = { initialize: function () {} };
