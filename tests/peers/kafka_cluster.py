"""Kafka for the tests: librdkafka's mock cluster in this process, or a broker that somebody else runs, and a reader by librdkafka's consumer.

Started as `kafka_cluster.py mock N` or `kafka_cluster.py at SETTINGS`, a JSON object for librdkafka. It says the address of the brokers on its first line; then every line that it gets
is a JSON object with `do`, and every line that it says is the answer. It ends with its input.
"""

import ctypes
import glob
import json
import os
import sys

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic


def library():
    """The librdkafka that confluent_kafka brings."""
    beside = os.path.join(os.path.dirname(os.path.dirname(confluent_kafka.__file__)), "confluent_kafka.libs")
    found = glob.glob(os.path.join(beside, "librdkafka*.so*"))
    return ctypes.CDLL(found[0])


class Mock:
    """A cluster of brokers in this process, which can be told to fail."""

    def __init__(self, brokers):
        self.lib = lib = library()
        lib.rd_kafka_new.restype = ctypes.c_void_p
        lib.rd_kafka_conf_new.restype = ctypes.c_void_p
        lib.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
        lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        lib.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
        lib.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
        lib.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
        said = ctypes.create_string_buffer(512)
        client = lib.rd_kafka_new(0, lib.rd_kafka_conf_new(), said, 512)
        assert client, said.value
        self.cluster = ctypes.c_void_p(lib.rd_kafka_mock_cluster_new(client, brokers))
        self.settings = {"bootstrap.servers": lib.rd_kafka_mock_cluster_bootstraps(self.cluster).decode()}

    def topic(self, name, partitions):
        assert self.lib.rd_kafka_mock_topic_create(self.cluster, name.encode(), partitions, 1) == 0

    def errors(self, api, codes):
        numbers = (ctypes.c_int * len(codes))(*codes)
        self.lib.rd_kafka_mock_push_request_errors_array(self.cluster, ctypes.c_int16(api), ctypes.c_size_t(len(codes)), numbers)

    def left(self, api):
        """How many errors were not said yet: they are cleared."""
        self.lib.rd_kafka_mock_clear_request_errors(self.cluster, ctypes.c_int16(api))

    def leader(self, topic, partition, broker):
        assert self.lib.rd_kafka_mock_partition_set_leader(self.cluster, topic.encode(), partition, broker) == 0

    def down(self, broker):
        assert self.lib.rd_kafka_mock_broker_set_down(self.cluster, broker) == 0

    def up(self, broker):
        assert self.lib.rd_kafka_mock_broker_set_up(self.cluster, broker) == 0


class There:
    """A broker that somebody else runs."""

    def __init__(self, settings):
        self.settings = settings

    def topic(self, name, partitions):
        admin = AdminClient(self.settings)
        admin.create_topics([NewTopic(name, partitions, 1)])[name].result(20)


def read(settings, topic):
    """Key, trail, sequence and value of every record, for each partition in order."""
    consumer = confluent_kafka.Consumer({**settings, "group.id": "reader", "enable.auto.commit": False})
    try:
        partitions = sorted(consumer.list_topics(topic, 20).topics[topic].partitions)
        return [read_partition(consumer, topic, partition) for partition in partitions]
    finally:
        consumer.close()


def read_partition(consumer, topic, partition):
    where = confluent_kafka.TopicPartition(topic, partition, 0)
    _, end = consumer.get_watermark_offsets(where, 20)
    consumer.assign([where])
    records = []
    # Tansu says an end that is that of its last batch's first record: what comes after it is read until there is no more.
    while (message := consumer.poll(20 if len(records) < end else 1)) is not None:
        assert message.error() is None, message.error()
        headers = dict(message.headers())
        trail, sequence = headers["traild.trail"].decode(), int(headers["traild.sequence"])
        records.append([message.key().decode(), trail, sequence, message.value().decode(), message.timestamp()[1]])
    assert len(records) >= end, f"partition {partition}: {len(records)} of {end} records"
    consumer.unassign()
    return records


def main():
    kind, what = sys.argv[1:]
    place = Mock(int(what)) if kind == "mock" else There(json.loads(what))
    print(place.settings["bootstrap.servers"], flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        do = asked.pop("do")
        answer = read(place.settings, **asked) if do == "read" else getattr(place, do)(**asked)
        print(json.dumps(answer), flush=True)


main()
