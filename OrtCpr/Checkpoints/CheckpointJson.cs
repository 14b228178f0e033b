using System.Text.Json.Serialization;

namespace OrtCpr.Checkpoints;

/// <summary>The JSON of a checkpoint's header, by serializers that are made when the library is compiled.</summary>
[JsonSerializable(typeof(CheckpointHeader))]
internal sealed partial class CheckpointJson : JsonSerializerContext;
