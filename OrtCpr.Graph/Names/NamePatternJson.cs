using System.Text.Json;
using System.Text.Json.Serialization;

namespace OrtCpr.Graph.Parameters;

/// <summary>A name pattern in JSON is its text.</summary>
internal sealed class NamePatternJson : JsonConverter<NamePattern>
{
    public override NamePattern Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String ? new NamePattern(reader.GetString()!)
            : throw new JsonException("A name pattern is a text.");

    public override void Write(Utf8JsonWriter writer, NamePattern value, JsonSerializerOptions options) =>
        writer.WriteStringValue(value.Text);
}
