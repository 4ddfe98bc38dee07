"""What AliECS adds to Twisted's plugins: its integrations and its `twistd` commands."""

from twisted.application.service import ServiceMaker

from aliecs.integration.factory import IntegrationFactory

testplugin = IntegrationFactory(
    "testplugin", "testPluginEndpoint", "aliecs.integration.testplugin", "TestPlugin"
)

kafka = IntegrationFactory(
    "kafka", "kafkaEndpoint", "aliecs.integration.kafka", "KafkaNotifications"
)

aliecs = ServiceMaker(
    "AliECS core", "aliecs.service", "The ALICE Experiment Control System", "aliecs"
)

apricot = ServiceMaker(
    "AliECS configuration service",
    "aliecs.apricot",
    "The configuration service of the ALICE Experiment Control System on its own",
    "apricot",
)
