using System.Text.Json.Serialization;

namespace OrtCpr.Export;

/// <summary>The JSON of the map of imported weights, by serializers that are made when the library is compiled.</summary>
[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class WeightMapJson : JsonSerializerContext;
