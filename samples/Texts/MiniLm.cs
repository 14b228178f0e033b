using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using Samples;

namespace Texts;

// An encoder and its vocabulary as files.
internal sealed record MiniLm(string Model, string Vocabulary)
{
    private const string Package = "minilm.dll";

    public static MiniLm Open(Settings settings)
    {
        if (settings.Model is string folder)
        {
            MiniLm own = new(Path.Combine(folder, "model.onnx"), Path.Combine(folder, "vocab.txt"));
            string[] missing = [.. new[] { own.Model, own.Vocabulary }.Where(f => !File.Exists(f)).Select(f => Path.GetFileName(f))];
            return missing.Length == 0 ? own : throw new SampleException(
                $"--model {folder}: expected model.onnx and vocab.txt; missing {string.Join(" and ", missing)}.");
        }
        MiniLm target = new(settings.PathOf("minilm.onnx"), settings.PathOf("vocab.txt"));
        Extract(Path.Combine(AppContext.BaseDirectory, Package),
            new() { ["model.onnx"] = target.Model, ["vocab.txt"] = target.Vocabulary });
        return target;
    }

    // The package has both as resources of its assembly, which is read as a file: none of its code is loaded.
    private static void Extract(string assembly, Dictionary<string, string> targets)
    {
        using var file = new PEReader(File.OpenRead(assembly));
        MetadataReader metadata = file.GetMetadataReader();
        int start = file.PEHeaders.CorHeader!.ResourcesDirectory.RelativeVirtualAddress;
        foreach (ManifestResource resource in metadata.ManifestResources.Select(metadata.GetManifestResource))
        {
            string name = metadata.GetString(resource.Name);
            if (targets.FirstOrDefault(t => name.EndsWith(t.Key, StringComparison.Ordinal)).Value is not string target) continue;
            BlobReader bytes = file.GetSectionData(start).GetReader((int)resource.Offset, sizeof(int));
            int length = bytes.ReadInt32();
            File.WriteAllBytes(target, file.GetSectionData(start).GetContent((int)resource.Offset + sizeof(int), length).AsSpan());
        }
    }
}
