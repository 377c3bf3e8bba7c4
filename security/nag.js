// Judges CloudFormation templates by the rule packs of cdk-nag, and prints what
// they find as JSON: [{"rule", "template", "resource", "text"}].
// usage: node nag.js NAME.template.json...
const path = require('path');
const { App, Stack } = require('aws-cdk-lib');
const { CfnInclude } = require('aws-cdk-lib/cloudformation-include');
const { AwsSolutionsChecks, NIST80053R5Checks } = require('cdk-nag');

const app = new App({ analyticsReporting: false });
for (const file of process.argv.slice(2)) {
  const stack = new Stack(app, path.basename(file, '.template.json'));
  new CfnInclude(stack, 'Template', { templateFile: file });
}
const found = [];
for (const Pack of [AwsSolutionsChecks, NIST80053R5Checks]) {
  for (const violation of new Pack(app).validateScope(app).violations) {
    for (const { constructPath, resourceLogicalId } of violation.violatingConstructs ?? violation.violatingResources) {
      const [template] = constructPath.split('/');
      found.push({ rule: violation.ruleName, template, resource: resourceLogicalId ?? path.basename(constructPath), text: violation.description });
    }
  }
}
process.stdout.write(JSON.stringify(found, null, 1) + '\n');
