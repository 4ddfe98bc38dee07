"""What AliECS adds to Twisted's plugins: its integrations and its `twistd` command."""

from twisted.application.service import ServiceMaker

from aliecs.integration.factory import IntegrationFactory

testplugin = IntegrationFactory(
    "testplugin", "testPluginEndpoint", "aliecs.integration.testplugin", "TestPlugin"
)

aliecs = ServiceMaker(
    "AliECS core", "aliecs.service", "The ALICE Experiment Control System", "aliecs"
)
