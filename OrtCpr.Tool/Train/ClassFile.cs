using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace OrtCpr.Tool.Train;

// What the classes of a run are called, in the order of their numbers: classes.json in its folder. An evaluation on data that lack
// a class would count the others anew without it.
internal static class ClassFile
{
    private const string Name = "classes.json";

    private static readonly JsonSerializerOptions Readable =
        new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(string folder, ImmutableArray<string> names)
    {
        string path = Path.Combine(folder, Name);
        // That of an earlier run has other classes.
        if (names.Length == 0) File.Delete(path);
        else File.WriteAllText(path, new JsonArray([.. names.Select(n => (JsonNode?)n)]).ToJsonString(Readable) + "\n");
    }

    // Of several runs side by side the folder above has it.
    public static ImmutableArray<string> Read(string folder)
    {
        string? path = new[] { Path.Combine(folder, Name), Path.Combine(folder, "..", Name) }.FirstOrDefault(File.Exists);
        if (path is null) return [];
        try
        {
            return [.. JsonNode.Parse(File.ReadAllText(path))!.AsArray().Select(n => n!.GetValue<string>())];
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException or NullReferenceException or IOException
            or UnauthorizedAccessException)
        {
            throw new ToolException($"'{path}' can't be read as a list of the names of classes: {error.Message} Delete it, and classes are "
                + "those of the data, in ordinal order.");
        }
    }
}
