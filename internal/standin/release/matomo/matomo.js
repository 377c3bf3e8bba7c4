/*!! The tracker of the stand-in release: page views by way of _paq. */
(function (window, document) {
  'use strict';

  var url = '';
  var site = '';

  function send(parameters) {
    var query = 'idsite=' + encodeURIComponent(site) + '&rec=1&send_image=0';
    Object.keys(parameters).forEach(function (name) {
      query += '&' + name + '=' + encodeURIComponent(parameters[name]);
    });
    if (window.navigator.sendBeacon) {
      window.navigator.sendBeacon(url + '?' + query);
    } else {
      new window.Image().src = url + '?' + query;
    }
  }

  var commands = {
    setTrackerUrl: function (value) { url = value; },
    setSiteId: function (value) { site = value; },
    trackPageView: function (title) {
      send({
        url: window.location.href,
        urlref: document.referrer,
        action_name: title || document.title,
        res: window.screen.width + 'x' + window.screen.height
      });
    },
    trackEvent: function (category, action, name, value) {
      send({ url: window.location.href, e_c: category, e_a: action, e_n: name || '', e_v: value || '' });
    }
  };

  function run(call) {
    if (commands[call[0]]) {
      commands[call[0]].apply(null, call.slice(1));
    }
  }

  var waiting = window._paq || [];
  window._paq = { push: run };
  waiting.forEach(run);
}(window, document));
