using Google.Protobuf;
using OrtCpr.Graph.Files;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

internal sealed partial class ModelFile
{
    /// <summary>Size in bytes up to which a model is one file.</summary>
    internal const long DefaultExternalDataThreshold = 1_500_000_000;

    /// <summary>Smaller initializers stay in the model file, where readers that need shapes find them.</summary>
    private const long MinExternalBytes = 1024;

    /// <summary>A page, so that readers can map a tensor by itself.</summary>
    private const int Alignment = 4096;

    /// <summary>Writes a model file, atomically: until the end the old file, with its external data, is whole and in place.</summary>
    /// <param name="proto">The model; not changed.</param>
    /// <param name="path">Model file.</param>
    /// <param name="externalDataThreshold">When the model would be larger than this (bytes), initializers of at least 1 KiB go to
    /// <c>&lt;path&gt;.data</c> beside it; or to <c>&lt;path&gt;.1.data</c> (2, 3 …) while the model that stands there now needs
    /// that file. Such a file that the old model used and the new one does not is deleted at the end.</param>
    /// <param name="initializers">Values of initializers of the main graph by name, for weights that are not in
    /// <paramref name="proto"/>: they replace the value there, or are added. Never copied, so together they may be larger
    /// than memory.</param>
    /// <param name="source">Folder of the external data that <paramref name="proto"/> refers to; they are written anew. Null:
    /// references stay as they are.</param>
    /// <exception cref="FileAccessException">A file can't be written; names it.</exception>
    /// <exception cref="ModelFormatException">A tensor is not valid, or what stays in the model file is over 2 GiB.</exception>
    internal static void Save(ModelProto proto, string path, long externalDataThreshold = DefaultExternalDataThreshold,
        IReadOnlyDictionary<string, TensorData>? initializers = null, ExternalDataFolder? source = null)
    {
        ModelProto model = Assemble(proto, path, initializers, source);
        string name = Path.GetFileName(path), folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        HashSet<string> old = LocationsInFile(path);
        HashSet<string> kept = LocationsOf(model);
        if (SizeOf(model) > Math.Min(externalDataThreshold, int.MaxValue))
        {
            int number = 0;
            while (old.Contains(DataName(name, number)) || kept.Contains(DataName(name, number)))
                number++;
            kept.Add(DataName(name, number));
            AtomicFile.Write(Path.Combine(folder, DataName(name, number)),
                stream => MoveInitializers(model, stream, DataName(name, number), path));
        }
        // A crash here leaves the old pair in place, and a data file without a model that the next save overwrites.
        AtomicFile.Write(path, stream => WriteTo(model, stream, path));
        for (int number = 0; number <= old.Count; number++)
        {
            if (old.Contains(DataName(name, number)) && !kept.Contains(DataName(name, number)))
                AtomicFile.TryDelete(Path.Combine(folder, DataName(name, number)));
        }
    }

    /// <summary>Writes a model to a stream, everything inline but references to external data.</summary>
    /// <exception cref="ModelFormatException">It is over 2 GiB.</exception>
    internal static void Save(ModelProto proto, Stream stream, IReadOnlyDictionary<string, TensorData>? initializers = null) =>
        WriteTo(Assemble(proto, "<stream>", initializers, null), stream, "<stream>");

    /// <summary>A model as bytes, everything inline.</summary>
    /// <param name="proto">The model; not changed.</param>
    /// <param name="initializers">Values of initializers by name, which replace the value there or are added.</param>
    /// <param name="source">Folder of the external data that it refers to; null: references stay.</param>
    /// <exception cref="ModelFormatException">It is over 2 GiB.</exception>
    internal static byte[] ToBytes(ModelProto proto, IReadOnlyDictionary<string, TensorData>? initializers = null,
        ExternalDataFolder? source = null)
    {
        ModelProto model = Assemble(proto, "<bytes>", initializers, source);
        CheckSize(model, "<bytes>");
        return model.ToByteArray();
    }

    private static string DataName(string file, int number) => number == 0 ? $"{file}.data" : $"{file}.{number}.data";

    private static HashSet<string> LocationsOf(ModelProto model) =>
    [
        .. ModelTensors.All(model).Where(site => ExternalDataReference.IsExternal(site.Tensor)).Select(site =>
        {
            ExternalDataReference.Parse(site.Tensor, out ExternalDataReference reference);
            return reference.Location;
        }),
    ];

    /// <summary>External files of the model that is about to be replaced; none when it is no model.</summary>
    private static HashSet<string> LocationsInFile(string path)
    {
        try
        {
            if (!File.Exists(path))
                return [];
            using FileStream stream = File.OpenRead(path);
            return LocationsOf(ModelProto.Parser.ParseFrom(stream));
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            return [];
        }
    }

    /// <summary>A copy that has the given values. Messages are copied, tensor bytes are shared.</summary>
    private static ModelProto Assemble(ModelProto proto, string name, IReadOnlyDictionary<string, TensorData>? initializers,
        ExternalDataFolder? source)
    {
        ModelProto model = proto.Clone();
        HashSet<string> added = new(initializers?.Keys ?? [], StringComparer.Ordinal);
        if (added.Count > 0)
        {
            foreach (FilePlace place in TensorPlaces.Of(model).All.Where(place => added.Remove(place.Name)))
                place.Write(initializers![place.Name]);
        }
        // Sorted, so that equal models are equal files.
        foreach (string key in added.Order(StringComparer.Ordinal))
            (model.Graph ??= new GraphProto()).Initializer.Add(TensorSerializer.Write(key, initializers![key]));
        if (source is not null)
        {
            foreach (TensorSite site in ModelTensors.All(model).Where(site => ExternalDataReference.IsExternal(site.Tensor)))
                TensorSerializer.SetData(site.Tensor, TensorSerializer.Read(site, source, name));
        }
        return model;
    }

    /// <summary>Writes the large initializers to the data file and leaves references.</summary>
    private static void MoveInitializers(ModelProto model, Stream data, string location, string name)
    {
        byte[] padding = new byte[Alignment];
        long offset = 0;
        foreach (TensorProto tensor in Initializers(model))
        {
            if (ExternalDataReference.IsExternal(tensor) || tensor.DataType == (int)ElementType.String
                || DataSizeOf(tensor) < MinExternalBytes)
            {
                continue;
            }

            TensorData value = TensorSerializer.Read(new TensorSite(tensor, $"initializer '{tensor.Name}'"), null, name);
            int gap = (int)(-offset & (Alignment - 1));
            data.Write(padding, 0, gap);
            data.Write(value.Bytes.Span);
            GC.KeepAlive(value);
            TensorSerializer.ClearData(tensor);
            new ExternalDataReference(location, offset + gap, value.Bytes.Length, null).WriteTo(tensor);
            offset += gap + value.Bytes.Length;
        }
    }

    /// <summary>Those that may be large: of the main graph, and the state that a training algorithm keeps.</summary>
    private static IEnumerable<TensorProto> Initializers(ModelProto model) =>
        new[] { model.Graph }.Concat(model.TrainingInfo.Select(info => info.Algorithm)).OfType<GraphProto>().SelectMany(g => g.Initializer);

    private static void WriteTo(ModelProto model, Stream stream, string name)
    {
        CheckSize(model, name);
        using CodedOutputStream output = new(stream, leaveOpen: true);
        model.WriteTo(output);
    }

    private static void CheckSize(ModelProto model, string name)
    {
        if (SizeOf(model) is long size and > int.MaxValue)
        {
            ModelFormatException.Throw(name, "is too large for one file",
                [$"expected at most {int.MaxValue} bytes (protobuf ends at 2 GiB); found about {size}."],
                "Save it to a path, where initializers go to a data file, and keep large constants in initializers.");
        }
    }

    /// <summary>Bytes of a model, in 64 bits: protobuf's own count wraps round at 2 GiB.</summary>
    private static long SizeOf(ModelProto model)
    {
        // Tag and length of a field, of each enclosing message.
        const int Overhead = 32;
        long tensors = Initializers(model).Sum(tensor => DataSizeOf(tensor) + Overhead);
        if (tensors < int.MaxValue / 2)
            return (uint)model.CalculateSize();
        ModelProto rest = model.Clone();
        rest.Graph.Initializer.Clear();
        foreach (TrainingInfoProto info in rest.TrainingInfo) info.Algorithm?.Initializer.Clear();
        return tensors + (uint)rest.CalculateSize();
    }

    private static long DataSizeOf(TensorProto tensor) => tensor.RawData.Length + (4L * tensor.FloatData.Count)
        + (8L * tensor.DoubleData.Count)
        + (4L * tensor.Int32Data.Count) + (8L * tensor.Int64Data.Count) + (8L * tensor.Uint64Data.Count)
        + tensor.StringData.Sum(text => (long)text.Length);
}
