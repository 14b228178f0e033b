using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Graph.Adapters;

/// <summary>Low-rank adapters as a change of the model file: beside y = x·W it computes y = x·W + (α/r)·(x·A)·B, with A [inputs, r] and B
/// [r, outputs] as further initializers <c>W.lora_A</c> and <c>W.lora_B</c>.</summary>
/// <remarks>The model that comes out is one like any other: build training graphs of it with <c>new ParameterOptions { TrainOnly =
/// [LoraAdapters.Parameters] }</c>, train, export, and merge what was exported. Weights of MatMul and Gemm, also behind a Transpose, and
/// the quantised ones of <c>com.microsoft.MatMulNBits</c> can have adapters; a weight that something else reads too (a tied embedding)
/// cannot.</remarks>
public static class LoraAdapters
{
    internal const string A = ".lora_A", B = ".lora_B", Scaling = ".lora_scaling";

    /// <summary>The names of the adapters' matrices.</summary>
    public static NamePattern Parameters { get; } = new("regex:.*\\.lora_[AB]");

    /// <summary>Adds adapters to a model.</summary>
    /// <param name="model">An ONNX file without external data, or with such that is not adapted.</param>
    /// <param name="options">Rank, scaling and targets.</param>
    /// <returns>The model with adapters; it computes what it did before.</returns>
    /// <exception cref="OptionException">An option is out of range, or no weight fits the targets.</exception>
    /// <exception cref="ModelFormatException">The model can't be read, or has adapters already.</exception>
    public static byte[] Attach(ReadOnlyMemory<byte> model, LoraOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        ModelFile file = ModelFile.Load(model);
        return ModelFile.ToBytes(Attached(file, options));
    }

    /// <summary>Adds adapters to a model file.</summary>
    /// <param name="modelPath">The model; external data stay where they are and are read from there.</param>
    /// <param name="targetPath">The model with adapters; replaced atomically.</param>
    /// <param name="options">Rank, scaling and targets.</param>
    /// <exception cref="OptionException">An option is out of range, or no weight fits the targets.</exception>
    /// <exception cref="ModelFormatException">The model can't be read, or has adapters already.</exception>
    /// <exception cref="FileAccessException">A file can't be read or written.</exception>
    public static void Attach(string modelPath, string targetPath, LoraOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        using ModelFile file = ModelFile.Load(modelPath);
        ModelFile.Save(Attached(file, options), targetPath, source: file.Folder);
    }

    /// <summary>Puts adapters into their weights, W + (α/r)·A·B, and takes them out of the graph. Adapters of quantised weights
    /// stay.</summary>
    /// <param name="model">A model with adapters, as exported after training.</param>
    /// <exception cref="ModelFormatException">The model can't be read, or has no adapters.</exception>
    public static byte[] Merge(ReadOnlyMemory<byte> model)
    {
        ModelFile file = ModelFile.Load(model);
        ModelProto merged = LoraMerge.Run(file, out Dictionary<string, TensorData> values);
        return ModelFile.ToBytes(merged, values);
    }

    /// <summary>Puts adapters into their weights and takes them out of the graph. Adapters of quantised weights stay.</summary>
    /// <param name="modelPath">A model with adapters, as exported after training.</param>
    /// <param name="targetPath">The merged model; replaced atomically.</param>
    /// <exception cref="ModelFormatException">The model can't be read, or has no adapters.</exception>
    /// <exception cref="FileAccessException">A file can't be read or written.</exception>
    public static void Merge(string modelPath, string targetPath)
    {
        using ModelFile file = ModelFile.Load(modelPath);
        ModelProto merged = LoraMerge.Run(file, out Dictionary<string, TensorData> values);
        ModelFile.Save(merged, targetPath, initializers: values, source: file.Folder);
    }

    /// <summary>The adapters' matrices alone, and their scaling, to be kept apart from the body.</summary>
    /// <param name="modelPath">A model with adapters.</param>
    /// <returns>By name.</returns>
    /// <exception cref="ModelFormatException">The model can't be read, or has no adapters.</exception>
    /// <exception cref="FileAccessException">The file can't be read.</exception>
    public static IReadOnlyDictionary<string, TensorData> Read(string modelPath)
    {
        using ModelFile file = ModelFile.Load(modelPath);
        var all = file.Proto.Graph.Initializer.Where(i => IsOurs(i.Name)).ToDictionary(i => i.Name, i =>
        {
            TensorData data = file.ReadInitializer(i);
            return TensorData.Create(data.Type, data.Dimensions, data.Bytes.ToArray());
        }, StringComparer.Ordinal);
        return all.Count > 0 ? all
            : throw new ModelFormatException($"'{modelPath}' has no adapters: no initializer ends in '{A}'. Attach some by "
            + $"{nameof(LoraAdapters)}.{nameof(Attach)}.");
    }

    /// <summary>Weights with adapters that a merge leaves where they are, since they are quantised.</summary>
    internal static IReadOnlyList<string> Quantised(string modelPath)
    {
        using ModelFile file = ModelFile.Load(modelPath);
        var adapted = file.Proto.Graph.Initializer.Where(i => i.Name.EndsWith(A, StringComparison.Ordinal))
            .Select(i => i.Name[..^A.Length]).ToHashSet(StringComparer.Ordinal);
        return [.. AdaptedProduct.All(file.Proto).Where(p => p.IsQuantised && adapted.Contains(p.Weight)).Select(p => p.Weight).Distinct()];
    }

    internal static bool IsOurs(string name) => name.EndsWith(A, StringComparison.Ordinal) || name.EndsWith(B, StringComparison.Ordinal)
        || name.EndsWith(Scaling, StringComparison.Ordinal);

    private static ModelProto Attached(ModelFile file, LoraOptions options)
    {
        options.Validate();
        ModelProto model = file.Proto.Clone();
        GraphProto graph = model.Graph;
        if (graph.Initializer.Any(i => IsOurs(i.Name)))
        {
            throw new ModelFormatException($"'{file.Name}' has adapters already ('{graph.Initializer.First(i => IsOurs(i.Name)).Name}'). "
                + "Merge them first, or start from the model without.");
        }
        AdaptedProduct[] all = [.. AdaptedProduct.All(model)];
        AdaptedProduct[] chosen = [.. all.Where(p => options.Targets.Any(t => t.Matches(p.Weight)))];
        if (chosen.Length == 0)
        {
            throw new OptionException($"{nameof(LoraOptions.Targets)} ({string.Join(", ", options.Targets)}) fit no weight that can have "
                + $"an adapter. There are: "
                + $"{(all.Length == 0 ? "none" : string.Join(", ", all.Select(p => p.Weight).Distinct().Take(20)))}.");
        }
        var names = graph.Node.SelectMany(n => n.Output).Concat(graph.Initializer.Select(i => i.Name))
            .Concat(graph.Input.Select(i => i.Name)).ToHashSet(StringComparer.Ordinal);
        foreach (AdaptedProduct product in chosen.DistinctBy(p => p.Weight)) AddMatrices(graph, product, options);
        foreach (AdaptedProduct product in chosen) AddNodes(graph, product, names);
        return model;
    }

    private static void AddMatrices(GraphProto graph, AdaptedProduct product, LoraOptions options)
    {
        RandomStream random = RandomStream.For(options.Seed, product.Weight + A);
        double reach = 1 / Math.Sqrt(product.Inputs);
        double[] a = [.. Enumerable.Range(0, checked((int)(product.Inputs * options.Rank)))
            .Select(_ => reach * ((2 * random.NextUniform()) - 1))];
        Add(product.Weight + A, [product.Inputs, options.Rank], a);
        Add(product.Weight + B, [options.Rank, product.Outputs], new double[options.Rank * product.Outputs]);
        Add(product.Weight + Scaling, [], [options.Alpha / options.Rank]);

        void Add(string name, long[] dims, double[] values) =>
            graph.Initializer.Add(TensorSerializer.Write(name, TensorData.From<double>(values, dims).ConvertTo(product.Type)));
    }

    // y = product; y' = y + ((x·A)·B)·scaling, which takes y's name.
    private static void AddNodes(GraphProto graph, AdaptedProduct product, HashSet<string> names)
    {
        NodeProto node = product.Node;
        string y = node.Output[0], prefix = Unique(names, $"{y}/lora");
        node.Output[0] = Unique(names, $"{y}/base");
        NodeProto first = new()
        {
            OpType = product.TransposedInput ? "Gemm" : "MatMul",
            Input = { node.Input[0], product.Weight + A },
            Output = { $"{prefix}/a" },
            Name = $"{prefix}/a"
        };
        if (product.TransposedInput)
        {
            first.Attribute.Add(new AttributeProto { Name = "transA", Type = AttributeProto.Types.AttributeType.Int, I = 1 });
        }
        NodeProto[] added =
        [
            first,
            new() { OpType = "MatMul", Input = { $"{prefix}/a", product.Weight + B }, Output = { $"{prefix}/b" }, Name = $"{prefix}/b" },
            new() { OpType = "Mul", Input = { $"{prefix}/b", product.Weight + Scaling }, Output = { $"{prefix}/scaled" },
                Name = $"{prefix}/scaled" },
            new() { OpType = "Add", Input = { node.Output[0], $"{prefix}/scaled" }, Output = { y }, Name = $"{prefix}/sum" },
        ];
        int at = graph.Node.IndexOf(node);
        for (int i = 0; i < added.Length; i++) graph.Node.Insert(at + 1 + i, added[i]);
    }

    private static string Unique(HashSet<string> names, string name)
    {
        string found = name;
        for (int i = 1; !names.Add(found); i++) found = $"{name}_{i}";
        return found;
    }
}
