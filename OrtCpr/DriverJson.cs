using System.Text.Json.Serialization;
using OrtCpr.Checkpoints;

namespace OrtCpr;

// What the driver writes as JSON, with serializers that are made when the library is compiled.
[JsonSerializable(typeof(CheckpointHeader))]
[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class DriverJson : JsonSerializerContext;
