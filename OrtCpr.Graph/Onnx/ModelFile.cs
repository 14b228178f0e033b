using System.Buffers;
using Google.Protobuf;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

/// <summary>An ONNX model that was read and checked: the format, the versions, and that its external data are there and safe to
/// open.</summary>
/// <remarks>Not checked here: names, cycles, types of the graph. Owner of <see cref="Folder"/>; disposing is optional, see there.</remarks>
internal sealed partial class ModelFile : IDisposable
{
    private const int MinIrVersion = 1, MaxIrVersion = 13, MinOpset = 1, MaxOpset = 26;

    /// <summary>The first IR version with <c>opset_import</c>.</summary>
    private const int OpsetsFromIr = 3;

    private TensorPlaces? _places;

    private ModelFile(ModelProto proto, ExternalDataFolder? folder, string name)
    {
        Proto = proto;
        Folder = folder;
        Name = name;
    }

    internal ModelProto Proto { get; }

    /// <summary>What was mended in the file when it was read, for the user.</summary>
    internal IReadOnlyList<string> Repairs { get; private set; } = [];

    /// <summary>The places of the file that may hold parameters.</summary>
    internal TensorPlaces Places => _places ??= TensorPlaces.Of(Proto);

    /// <summary>Notes what was changed in <see cref="Proto"/>.</summary>
    internal void Mended(IReadOnlyList<string> told)
    {
        Repairs = [.. Repairs, .. told];
        _places = null;
    }

    /// <summary>Where external data are looked for; null for a model from memory without a folder.</summary>
    internal ExternalDataFolder? Folder { get; }

    /// <summary>Path of the file, or <c>&lt;bytes&gt;</c> or <c>&lt;stream&gt;</c>; for messages.</summary>
    internal string Name { get; }

    /// <summary>Reads a model file; external data are taken from its folder. Large tensors stay in the file, which is kept open, until
    /// they are looked at.</summary>
    /// <exception cref="FileAccessException">The file is missing or can't be read.</exception>
    /// <exception cref="ModelFormatException">It is no model that OrtCpr can read.</exception>
    internal static ModelFile Load(string path)
    {
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            return Load(stream, path, new ExternalDataFolder(Path.GetDirectoryName(Path.GetFullPath(path))!),
                () => LargeTensors.Parse(stream, path));
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw FileAccessException.CannotRead(path, error);
        }
    }

    /// <summary>Reads a model from the rest of a stream.</summary>
    /// <param name="stream">Left open.</param>
    /// <param name="folder">Folder for external data, or null where there are none.</param>
    /// <exception cref="ModelFormatException">It is no model that OrtCpr can read.</exception>
    internal static ModelFile Load(Stream stream, string? folder = null)
    {
        ExternalDataFolder? data = folder is null ? null : new ExternalDataFolder(folder);
        if (stream.CanSeek)
            return Load(stream, "<stream>", data);
        using MemoryStream copy = new();
        stream.CopyTo(copy);
        copy.Position = 0;
        return Load(copy, "<stream>", data);
    }

    /// <summary>Reads a model from memory. The bytes are copied where the model keeps them.</summary>
    /// <param name="bytes">The whole model.</param>
    /// <param name="folder">Folder for external data, or null where there are none.</param>
    /// <exception cref="ModelFormatException">It is no model that OrtCpr can read.</exception>
    internal static ModelFile Load(ReadOnlyMemory<byte> bytes, string? folder = null)
    {
        ModelProto proto = Parse("<bytes>", bytes.Length, bytes.Span[..Math.Min(bytes.Length, ModelSniffer.HeadLength)],
            () => ModelProto.Parser.ParseFrom(new ReadOnlySequence<byte>(bytes)));
        return Check(new ModelFile(proto, folder is null ? null : new ExternalDataFolder(folder), "<bytes>"));
    }

    /// <summary>Value of a tensor of this model.</summary>
    /// <exception cref="ModelFormatException">The tensor is not valid, or its external data can't be read; names it.</exception>
    internal TensorData Read(TensorSite site) => TensorSerializer.Read(site, Folder, Name);

    /// <summary>Value of an initializer of this model.</summary>
    /// <exception cref="ModelFormatException">As for <see cref="Read(TensorSite)"/>.</exception>
    internal TensorData ReadInitializer(TensorProto initializer) => Read(new TensorSite(initializer, $"initializer '{initializer.Name}'"));

    /// <summary>Another model of this file: with its name, and its folder for external data.</summary>
    internal ModelFile With(ModelProto proto) => new(proto, Folder, Name);

    public void Dispose() => Folder?.Dispose();

    private static ModelFile Load(Stream stream, string name, ExternalDataFolder? folder, Func<ModelProto>? parse = null)
    {
        long start = stream.Position, length = stream.Length - start;
        if (length > int.MaxValue)
        {
            ModelFormatException.Throw(name, "is too large",
                [$"expected at most {int.MaxValue} bytes (protobuf ends at 2 GiB); found {length}."], "Save it with external data.");
        }
        byte[] head = new byte[Math.Min(length, ModelSniffer.HeadLength)];
        stream.ReadExactly(head);
        stream.Position = start;
        // From the stream and not through one array, so that the weights are in memory once.
        ModelProto proto = Parse(name, length, head, parse ?? (() => ModelProto.Parser.ParseFrom(stream)));
        return Check(new ModelFile(proto, folder, name));
    }

    private static ModelProto Parse(string name, long length, ReadOnlySpan<byte> head, Func<ModelProto> parse)
    {
        string advice = "Pass the .onnx file itself; if it is that, copy or export it again.";
        try
        {
            ModelProto model = parse();
            if (model.Graph is null)
            {
                ModelFormatException.Throw(name, "is no ONNX model",
                    [$"expected a graph; found none in {length} bytes, which look like {ModelSniffer.Guess(head)}."], advice);
            }
            return model;
        }
        catch (InvalidProtocolBufferException error)
        {
            throw new ModelFormatException($"Model '{name}' is no ONNX model, or it is cut off: expected a protobuf message; found "
                + $"{length} bytes " +
                $"which look like {ModelSniffer.Guess(head)} ({error.Message}) {advice}", error);
        }
    }

    private static ModelFile Check(ModelFile model)
    {
        List<string> problems = [.. VersionProblems(model.Proto)];
        if (problems.Count > 0)
        {
            ModelFormatException.Throw(model.Name, "has versions that are not supported", problems,
                "Export it again with a supported opset, or convert it.");
        }
        model.Repairs = ModelRepair.Run(model.Proto);
        problems = [.. ExternalDataCheck.Problems(model)];
        if (problems.Count > 0)
        {
            ModelFormatException.Throw(model.Name, "has external data that can't be used", problems,
                "Put the files beside the model as its exporter wrote them, or export it again.");
        }
        return model;
    }

    private static IEnumerable<string> VersionProblems(ModelProto model)
    {
        if (!model.HasIrVersion || model.IrVersion is < MinIrVersion or > MaxIrVersion)
        {
            yield return $"ir_version: expected {MinIrVersion} to {MaxIrVersion}; found {(model.HasIrVersion ? model.IrVersion : "none")}.";
        }
        long[] opsets = [.. model.OpsetImport.Where(opset => opset.Domain is "" or "ai.onnx").Select(opset => opset.Version).Distinct()];
        // Files before IR 3 import no opset, which means the first.
        if (opsets.Length == 0 && model.IrVersion < OpsetsFromIr) yield break;
        if (opsets.Length != 1)
        {
            yield return $"opset_import of ai.onnx: expected one version from {MinOpset} to {MaxOpset}; found " +
                (opsets.Length == 0 ? "none." : $"{string.Join(" and ", opsets)}.");
        }
        else if (opsets[0] is < MinOpset or > MaxOpset)
        {
            yield return $"opset_import of ai.onnx: expected {MinOpset} to {MaxOpset}; found {opsets[0]}.";
        }
    }
}
