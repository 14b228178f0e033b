using System.Collections.Immutable;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.RegularExpressions;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Parameters;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph.Heads;

/// <summary>New heads for exported models, as a change of the file: the last linear layer on the way to an output is replaced by one with
/// classes of one's own, or one is put on the output of an encoder.</summary>
/// <remarks>The layer is a Gemm, a MatMul (and an Add), or a convolution that covers its input; Softmax, LogSoftmax, Sigmoid, Identity and
/// changes of shape behind it go with it. What nothing reads any more goes too; everything else in the file stays as it was. The model
/// that comes out is one like any other. To train the head alone, build training graphs with <c>new ParameterOptions { TrainOnly =
/// ModelHead.Parameters(model) }</c>. Thread-safe.</remarks>
public static partial class ModelHead
{
    /// <summary>The key in <c>metadata_props</c> that the names of classes are under, as a JSON list. A further head of the same model has
    /// them under this key, a point and the name of its output.</summary>
    public const string ClassNamesKey = "class_names";

    /// <summary>Lists the parameters of the heads that were put into a file.</summary>
    private const string HeadsKey = "ortcpr.heads";

    /// <summary>Puts a head into a model.</summary>
    /// <param name="model">An ONNX file without external data.</param>
    /// <param name="at">An output, whose last linear layer is replaced, or on which the head is put where there is none; a node, which is
    /// replaced where it is a linear layer, and else read by the head; or a tensor that the head reads. Null for the first floating
    /// output.</param>
    /// <param name="head">The head.</param>
    /// <returns>The model with the head; logits are [batch, classes], or [batch, tokens, classes] with
    /// <see cref="Pooling.None"/>.</returns>
    /// <exception cref="OptionException">An option is out of range, or the head does not fit the model; the message lists all
    /// problems.</exception>
    /// <exception cref="ModelFormatException">The model can't be read.</exception>
    public static byte[] Replace(ReadOnlyMemory<byte> model, string? at, DenseHead head)
    {
        ArgumentNullException.ThrowIfNull(head);
        ModelFile file = ModelFile.Load(model);
        Put(file, at, head);
        return ModelFile.ToBytes(file.Proto);
    }

    /// <summary>Puts a head into a model file.</summary>
    /// <param name="modelPath">The model. External data stay in their files where the target lies in the same folder, and are written
    /// anew where it does not.</param>
    /// <param name="targetPath">The model with the head; replaced atomically.</param>
    /// <param name="at">As in <see cref="Replace(ReadOnlyMemory{byte}, string?, DenseHead)"/>.</param>
    /// <param name="head">The head.</param>
    /// <exception cref="OptionException">An option is out of range, or the head does not fit the model; the message lists all
    /// problems.</exception>
    /// <exception cref="ModelFormatException">The model can't be read.</exception>
    /// <exception cref="FileAccessException">A file can't be read or written.</exception>
    public static void Replace(string modelPath, string targetPath, string? at, DenseHead head)
    {
        ArgumentNullException.ThrowIfNull(head);
        ArgumentNullException.ThrowIfNull(targetPath);
        using ModelFile file = ModelFile.Load(modelPath);
        Put(file, at, head);
        // Data that are yet to be drawn are in no file.
        bool stay = FolderOf(modelPath) == FolderOf(targetPath) || WeightInitialization.IsNeeded(file);
        ModelFile.Save(file.Proto, targetPath, source: stay ? null : file.Folder);
    }

    /// <summary>Names of the parameters of the heads that were put into a model, as patterns for
    /// <see cref="ParameterOptions.TrainOnly"/>: everything else keeps its values.</summary>
    /// <param name="model">A model that <see cref="Replace(ReadOnlyMemory{byte}, string?, DenseHead)"/> made.</param>
    /// <exception cref="ModelFormatException">The model can't be read, or has no such head.</exception>
    public static ImmutableArray<NamePattern> Parameters(ReadOnlyMemory<byte> model) => Parameters(ModelFile.Load(model));

    /// <summary>Names of the parameters of the heads that were put into a model file, as patterns for
    /// <see cref="ParameterOptions.TrainOnly"/>: everything else keeps its values.</summary>
    /// <param name="modelPath">A model that <see cref="Replace(string, string, string?, DenseHead)"/> made.</param>
    /// <exception cref="ModelFormatException">The model can't be read, or has no such head.</exception>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    public static ImmutableArray<NamePattern> Parameters(string modelPath)
    {
        using ModelFile file = ModelFile.Load(modelPath);
        return Parameters(file);
    }

    private static ImmutableArray<NamePattern> Parameters(ModelFile file)
    {
        string[] names = [.. HeadsOf(file.Proto).Where(n => file.Places.Find(n) is not null)];
        return names.Length == 0
            ? throw new ModelFormatException($"Model '{file.Name}' has no head of its own: expected the names of its parameters under "
                + $"'{HeadsKey}' in metadata_props; found none. Put one into it first ({nameof(ModelHead)}.{nameof(Replace)}, ortcpr "
                + "head), or name the parameters to train.")
            : [.. names.Select(n => new NamePattern(n.AsSpan().IndexOfAny("*?") < 0 ? n : $"regex:{Regex.Escape(n)}"))];
    }

    /// <summary>The names of the classes of a model's first head.</summary>
    /// <param name="modelPath">An ONNX file.</param>
    /// <returns>In the order of the output; empty where the file has none under <see cref="ClassNamesKey"/>.</returns>
    /// <exception cref="ModelFormatException">The model can't be read.</exception>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    public static ImmutableArray<string> ClassNames(string modelPath)
    {
        using ModelFile file = ModelFile.Load(modelPath);
        return [.. Texts(file.Proto, ClassNamesKey)];
    }

    /// <summary>Writes the names of the classes into a model's metadata, in place of those that it has.</summary>
    /// <param name="modelPath">The model. External data stay in their files where the target lies in the same folder, and are written
    /// anew where it does not.</param>
    /// <param name="targetPath">The model with the names; replaced atomically. May be the model itself.</param>
    /// <param name="names">Names of the classes 0, 1 …; the width of the output is not looked at.</param>
    /// <exception cref="ModelFormatException">The model can't be read.</exception>
    /// <exception cref="FileAccessException">A file can't be read or written.</exception>
    public static void NameClasses(string modelPath, string targetPath, IReadOnlyCollection<string> names)
    {
        ArgumentNullException.ThrowIfNull(targetPath);
        ArgumentNullException.ThrowIfNull(names);
        using ModelFile file = ModelFile.Load(modelPath);
        Set(file.Proto, ClassNamesKey, names);
        ModelFile.Save(file.Proto, targetPath, source: FolderOf(modelPath) == FolderOf(targetPath) ? null : file.Folder);
    }

    private static string FolderOf(string path) => Path.GetDirectoryName(Path.GetFullPath(path))!;

    /// <summary>Infers shapes, also of outputs: exporters give names to sizes of them that the operators know as
    /// numbers, such as the width of an encoder.</summary>
    private static void InferWithOutputs(OnnxModel model)
    {
        (Value Value, Shape? Declared)[] outputs = [.. model.Graph.Outputs.Where(o => o.Producer is not null).Select(o => (o, o.Shape))];
        foreach ((Value output, _) in outputs) output.Shape = null;
        InferShapes.Run(model, named: false);
        foreach ((Value output, Shape? declared) in outputs)
        {
            if (declared is null) continue;
            output.Shape = output.Shape is Shape found && found.Rank == declared.Rank
                ? new Shape(declared.Zip(found, (was, known) => known.Known is null ? was : known)) : declared;
        }
    }

    /// <summary>Changes the file's message.</summary>
    private static void Put(ModelFile file, string? at, DenseHead head)
    {
        OnnxModel model = GraphReader.Read(file, WeightInitialization.IsNeeded(file) ? WeightInitialization.Draw(file, 0) : null);
        model.Opsets.TryAdd("com.microsoft", 1);
        model.Graph.Sort();
        InferWithOutputs(model);
        List<string> problems = head.Problems();
        HeadPlace? place = HeadPlace.Find(model.Graph, at, head.Append, problems);
        HeadPlan? plan = place is null ? null : HeadPlan.Of(model, place, head, problems);
        OptionException.ThrowIfAny($"The head does not fit model '{file.Name}'", problems);

        GraphProto graph = file.Proto.Graph;
        int position = place!.Output is Value old ? model.Graph.Outputs.IndexOf(old) : graph.Output.Count;
        Value[] read = plan!.Mask is Value mask ? [plan.Features, mask] : [plan.Features];
        if (!head.Keep) OldHead.Remove(file.Proto, model.Graph, place.Cut, read);
        HashSet<string> names = NamesOf(file.Proto);
        if (head.Output is string wanted && names.Contains(wanted))
        {
            throw new OptionException($"The head does not fit model '{file.Name}': {nameof(head.Output)} is '{wanted}', a name that the "
                + "model has already; expected a new one, or null.");
        }
        string output = head.Output ?? (place.Output is Value replaced && !head.Keep ? replaced.Name : "logits");
        output = HeadNodes.Unique(names, output);
        string[] parameters = Write(graph, names, plan!, head, output);
        var info = new ValueInfoProto { Name = output, Type = GraphWriter.TensorType(plan!.Type, plan.Result) };
        graph.Output.Insert(head.Keep ? graph.Output.Count : Math.Min(position, graph.Output.Count), info);
        Note(file, head, parameters, output);
    }

    private static string[] Write(GraphProto graph, HashSet<string> names, HeadPlan plan, DenseHead head, string output)
    {
        string name = head.Name;
        for (int i = 1; names.Contains($"{name}.weight") || names.Contains($"{name}.bias"); i++) name = $"{head.Name}_{i}";
        string weight = HeadNodes.Unique(names, $"{name}.weight"), bias = HeadNodes.Unique(names, $"{name}.bias");
        var nodes = new HeadNodes(graph, names, name, plan.Opset, plan.Type);
        string x = plan.Features.Name;
        string? mask = plan.Mask?.Name;
        bool isPixels = plan.Features.Shape!.Rank != 3;
        x = plan.Pool switch
        {
            Pooling.Mean => isPixels ? nodes.PoolPixels(x, false, head.ChannelsLast) : nodes.MeanOfTokens(x, mask),
            Pooling.Max => isPixels ? nodes.PoolPixels(x, true, head.ChannelsLast) : nodes.MaximumOfTokens(x, mask),
            Pooling.Cls => nodes.FirstToken(x),
            _ => plan.Flattens ? nodes.Flatten(x) : x,
        };
        if (head.Dropout > 0) x = nodes.Dropout(x, head.Dropout);
        bool tokens = plan.Result.Rank == 3;
        long[] dims = tokens ? [plan.Width, head.Classes] : [head.Classes, plan.Width];
        Draw(weight, dims);
        Draw(bias, [head.Classes]);
        nodes.Linear(x, weight, bias, tokens, output);
        return [weight, bias];

        void Draw(string name, long[] shape)
        {
            RandomStream random = RandomStream.For(head.Seed, name);
            double reach = 1 / Math.Sqrt(plan.Width);
            double[] values = new double[shape.Aggregate(1L, (p, d) => checked(p * d))];
            for (int i = 0; i < values.Length; i++) values[i] = reach * ((2 * random.NextUniform()) - 1);
            graph.Initializer.Add(TensorSerializer.Write(name, TensorData.From<double>(values, shape).ConvertTo(plan.Type)));
        }
    }

    /// <summary>What others need to know of the head: names of classes and of parameters.</summary>
    private static void Note(ModelFile file, DenseHead head, string[] parameters, string output)
    {
        ModelProto model = file.Proto;
        var initializers = model.Graph.Initializer.Select(i => i.Name).ToHashSet(StringComparer.Ordinal);
        // A head that went may have had the names of the new one.
        Set(model, HeadsKey, [.. HeadsOf(model).Where(initializers.Contains).Union(parameters)]);
        bool isFirst = !head.Keep || model.MetadataProps.All(p => p.Key != ClassNamesKey);
        // Names of classes that are gone would name others.
        if (!head.Keep) Set(model, ClassNamesKey, []);
        Set(model, isFirst ? ClassNamesKey : $"{ClassNamesKey}.{output}", head.ClassNames);
    }

    private static void Set(ModelProto model, string key, IReadOnlyCollection<string> texts)
    {
        foreach (StringStringEntryProto old in model.MetadataProps.Where(p => p.Key == key).ToList()) model.MetadataProps.Remove(old);
        if (texts.Count > 0) model.MetadataProps.Add(new StringStringEntryProto { Key = key, Value = ToJson(texts) });
    }

    private static string ToJson(IEnumerable<string> texts)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartArray();
            foreach (string text in texts) writer.WriteStringValue(text);
            writer.WriteEndArray();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    private static string[] HeadsOf(ModelProto model) => Texts(model, HeadsKey);

    private static string[] Texts(ModelProto model, string key)
    {
        if (model.MetadataProps.FirstOrDefault(p => p.Key == key) is not StringStringEntryProto entry) return [];
        try
        {
            using var json = JsonDocument.Parse(entry.Value);
            return json.RootElement.ValueKind != JsonValueKind.Array ? []
                : [.. json.RootElement.EnumerateArray().Where(e => e.ValueKind == JsonValueKind.String).Select(e => e.GetString()!)];
        }
        catch (JsonException)
        {
            // Somebody else's entry of that key tells us nothing.
            return [];
        }
    }

    private static HashSet<string> NamesOf(ModelProto model)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        Add(model.Graph);
        return names;

        void Add(GraphProto graph)
        {
            names.UnionWith(graph.Input.Select(i => i.Name).Concat(graph.Initializer.Select(i => i.Name))
                .Concat(graph.SparseInitializer.Select(s => s.Values?.Name ?? "")));
            foreach (NodeProto node in graph.Node)
            {
                names.UnionWith(node.Output.Append(node.Name));
                foreach (AttributeProto attribute in node.Attribute)
                {
                    if (attribute.G is not null) Add(attribute.G);
                    foreach (GraphProto body in attribute.Graphs) Add(body);
                }
            }
        }
    }
}
