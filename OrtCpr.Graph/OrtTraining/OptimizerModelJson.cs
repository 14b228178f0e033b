using System.Text.Json.Serialization;

namespace OrtCpr.Graph.OrtTraining;

/// <summary>The JSON that an optimizer model carries, by serializers that are made when the library is compiled.</summary>
[JsonSourceGenerationOptions(NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals, UseStringEnumConverter = true)]
[JsonSerializable(typeof(OptimizerModelDescription))]
internal sealed partial class OptimizerModelJson : JsonSerializerContext;
