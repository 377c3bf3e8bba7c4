// Reads CloudFormation templates with AWS's CDK library and writes them again.
// usage: node synth.js NAME.template.json...
const path = require('path');
const { App, Stack } = require('aws-cdk-lib');
const { CfnInclude } = require('aws-cdk-lib/cloudformation-include');

const app = new App({ analyticsReporting: false });
for (const file of process.argv.slice(2)) {
  new CfnInclude(new Stack(app, path.basename(file, '.template.json')), 'Template', { templateFile: file });
}
app.synth();
