window.piwik = window.piwik || {};
