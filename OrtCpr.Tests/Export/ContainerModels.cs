using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Export;

/// <summary>One small network, its weights in each place where exporters put weights. x [batch, 4] →
/// tanh(x · W1 + b1) → · W2 + b2 → y [batch, 3].</summary>
internal static class ContainerModels
{
    private const AttributeProto.Types.AttributeType GraphType = AttributeProto.Types.AttributeType.Graph;

    /// <summary>Name → how the weights get into a graph whose input is x, and how many tensors should be trained.</summary>
    public static IReadOnlyDictionary<string, (Action<ModelProto> Write, int Trained)> All { get; } =
        new Dictionary<string, (Action<ModelProto>, int)>(StringComparer.Ordinal)
        {
            ["initializer"] = (m => Layers(m.Graph, Initializer), 4),
            ["initializer_and_input"] = (InitializerAndInput, 4),
            ["constant_value"] = (m => Layers(m.Graph, Constant), 4),
            ["constant_floats"] = (m => Layers(m.Graph, (g, name, dims) =>
                (dims.Length == 1 ? ConstantFloats : (Holder)Constant)(g, name, dims)), 4),
            ["constant_sparse"] = (m => Layers(m.Graph, (g, name, dims) =>
                (name == "W1" ? ConstantSparse : (Holder)Initializer)(g, name, dims)), 4),
            ["sparse_initializer"] = (m => Layers(m.Graph, (g, name, dims) =>
                (name == "W1" ? SparseInitializer : (Holder)Initializer)(g, name, dims)), 4),
            ["function"] = (InFunction, 4),
            ["function_called_twice"] = (FunctionCalledTwice, 3),
            ["function_attribute"] = (FunctionAttribute, 2),
            ["if_branches_of_one_name"] = (m => Branches(m, Initializer, known: false), 6),
            ["if_branches_with_constants"] = (m => Branches(m, Constant, known: false), 6),
            ["if_of_known_condition"] = (m => Branches(m, Initializer, known: true), 4),
            ["loops_of_one_name"] = (m => Loops(m, Initializer), 6),
            ["loops_with_constants"] = (m => Loops(m, Constant), 6),
            ["scan_body"] = (ScanBody, 4),
            ["behind_identity"] = (m => Behind(m, "Identity"), 4),
            ["behind_cast"] = (m => Behind(m, "Cast"), 4),
            ["behind_transpose"] = (m => Behind(m, "Transpose"), 4),
            ["behind_reshape"] = (m => Behind(m, "Reshape"), 4),
            ["behind_quantize_dequantize"] = (QuantizedAndBack, 4),
        };

    private delegate void Holder(GraphProto graph, string name, long[] dims);

    public static ModelProto Make(string container)
    {
        var model = new ModelProto { IrVersion = 9, ProducerName = "containers" };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 18 });
        model.Graph = new GraphProto { Name = "g" };
        model.Graph.Input.Add(Tensor("x", 4));
        model.Graph.Output.Add(Tensor("y", 3));
        All[container].Write(model);
        return model;
    }

    private static void Layers(GraphProto g, Holder hold, string input = "x", string output = "y")
    {
        hold(g, "W1", [4, 5]);
        hold(g, "b1", [5]);
        hold(g, "W2", [5, 3]);
        hold(g, "b2", [3]);
        Dense(g, input, "W1", "b1", "s");
        g.Node.Add(Op("Tanh", ["s"], "h"));
        Dense(g, "h", "W2", "b2", output);
    }

    private static void Dense(GraphProto g, string x, string w, string b, string y)
    {
        g.Node.Add(Op("MatMul", [x, w], $"{y}_product"));
        g.Node.Add(Op("Add", [$"{y}_product", b], y));
    }

    private static void Initializer(GraphProto g, string name, long[] dims) =>
        g.Initializer.Add(TensorSerializer.Write(name, Numbers(name + g.Name, dims)));

    private static void Constant(GraphProto g, string name, long[] dims) => g.Node.Add(ConstantNode(name, g.Name, dims));

    private static NodeProto ConstantNode(string name, string seed, long[] dims) => Op("Constant", [], name, new AttributeProto
    {
        Name = "value",
        Type = AttributeProto.Types.AttributeType.Tensor,
        T = TensorSerializer.Write("", Numbers(name + seed, dims)),
    });

    private static void ConstantFloats(GraphProto g, string name, long[] dims)
    {
        var attribute = new AttributeProto { Name = "value_floats", Type = AttributeProto.Types.AttributeType.Floats };
        attribute.Floats.AddRange(Numbers(name, dims).ToArray<float>());
        g.Node.Add(Op("Constant", [], name, attribute));
    }

    private static SparseTensorProto Sparse(string name, long[] dims)
    {
        var sparse = new SparseTensorProto
        {
            Values = TensorSerializer.Write(name, TensorData.From<float>([0.5f, -0.7f, 0.3f], 3)),
            Indices = TensorSerializer.Write("", TensorData.From<long>([1, 7, 12], 3)),
        };
        sparse.Dims.AddRange(dims);
        return sparse;
    }

    private static void ConstantSparse(GraphProto g, string name, long[] dims) => g.Node.Add(Op("Constant", [], name, new AttributeProto
    {
        Name = "sparse_value",
        Type = AttributeProto.Types.AttributeType.SparseTensor,
        SparseTensor = Sparse(name, dims),
    }));

    private static void SparseInitializer(GraphProto g, string name, long[] dims) => g.SparseInitializer.Add(Sparse(name, dims));

    private static void InitializerAndInput(ModelProto m)
    {
        Layers(m.Graph, Initializer);
        foreach (TensorProto tensor in m.Graph.Initializer)
        {
            ValueInfoProto info = Scalar(tensor.Name, 1);
            foreach (long d in tensor.Dims) info.Type.TensorType.Shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = d });
            m.Graph.Input.Add(info);
        }
    }

    private static FunctionProto Function(ModelProto m, string name, params NodeProto[] nodes)
    {
        m.OpsetImport.Add(new OperatorSetIdProto { Domain = "f", Version = 1 });
        var function = new FunctionProto { Name = name, Domain = "f", Input = { "u" }, Output = { "v" } };
        function.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 18 });
        function.Node.AddRange(nodes);
        m.Functions.Add(function);
        return function;
    }

    private static NodeProto Call(string name, string x, string y, params AttributeProto[] attributes)
    {
        NodeProto call = Op(name, [x], y, attributes);
        call.Domain = "f";
        return call;
    }

    private static void InFunction(ModelProto m)
    {
        var body = new GraphProto { Name = "f" };
        Layers(body, Constant, "u", "v");
        Function(m, "Net", [.. body.Node]);
        m.Graph.Node.Add(Call("Net", "x", "y"));
    }

    private static void FunctionCalledTwice(ModelProto m)
    {
        Function(m, "Layer", ConstantNode("W", "f", [4, 4]), Op("MatMul", ["u", "W"], "p"), Op("Tanh", ["p"], "v"));
        m.Graph.Node.Add(Call("Layer", "x", "h1"));
        m.Graph.Node.Add(Call("Layer", "h1", "h2"));
        Initializer(m.Graph, "V", [4, 3]);
        Initializer(m.Graph, "c", [3]);
        Dense(m.Graph, "h2", "V", "c", "y");
    }

    private static void FunctionAttribute(ModelProto m)
    {
        FunctionProto function = Function(m, "Layer", Op("Constant", [], "W", new AttributeProto
        {
            Name = "value",
            Type = AttributeProto.Types.AttributeType.Tensor,
            RefAttrName = "weight",
        }), Op("MatMul", ["u", "W"], "p"), Op("Tanh", ["p"], "v"));
        function.Attribute.Add("weight");
        m.Graph.Node.Add(Call("Layer", "x", "h", new AttributeProto
        {
            Name = "weight",
            Type = AttributeProto.Types.AttributeType.Tensor,
            T = TensorSerializer.Write("", Numbers("attribute", [4, 4])),
        }));
        Initializer(m.Graph, "V", [4, 3]);
        Initializer(m.Graph, "c", [3]);
        Dense(m.Graph, "h", "V", "c", "y");
    }

    private static void Branches(ModelProto m, Holder hold, bool known)
    {
        GraphProto g = m.Graph;
        if (known)
        {
            g.Initializer.Add(TensorSerializer.Write("condition", TensorData.From<bool>([true])));
        }
        else
        {
            g.Node.Add(Op("ReduceSum", ["x"], "sum", Int("keepdims", 0)));
            g.Initializer.Add(TensorSerializer.Write("border", TensorData.Scalar(0f)));
            g.Node.Add(Op("Greater", ["sum", "border"], "condition"));
        }
        GraphProto[] bodies = [.. new[] { "then", "else" }.Select(name =>
        {
            var body = new GraphProto { Name = name };
            hold(body, "W", [4, 5]);
            hold(body, "b", [5]);
            Dense(body, "x", "W", "b", $"{name}_s");
            body.Output.Add(Tensor($"{name}_s", 5));
            return body;
        })];
        g.Node.Add(Op("If", ["condition"], "s", new AttributeProto { Name = "then_branch", Type = GraphType, G = bodies[0] },
            new AttributeProto { Name = "else_branch", Type = GraphType, G = bodies[1] }));
        Tail(g);
    }

    private static void Tail(GraphProto g)
    {
        g.Node.Add(Op("Tanh", ["s"], "h"));
        Initializer(g, "W2", [5, 3]);
        Initializer(g, "b2", [3]);
        Dense(g, "h", "W2", "b2", "y");
    }

    private static void Loops(ModelProto m, Holder hold)
    {
        GraphProto g = m.Graph;
        g.Initializer.Add(TensorSerializer.Write("two", TensorData.Scalar(2L)));
        string before = "x";
        foreach (string name in new[] { "first", "second" })
        {
            var body = new GraphProto { Name = name };
            body.Input.Add(Scalar("i", 7));
            body.Input.Add(Scalar("go", 9));
            body.Input.Add(Tensor("state", 4));
            hold(body, "W", [4, 4]);
            hold(body, "b", [4]);
            Dense(body, "state", "W", "b", "sum");
            body.Node.Add(Op("Tanh", ["sum"], "next"));
            body.Node.Add(Op("Identity", ["go"], "going"));
            body.Output.Add(Scalar("going", 9));
            body.Output.Add(Tensor("next", 4));
            g.Node.Add(Op("Loop", ["two", "", before], name, new AttributeProto { Name = "body", Type = GraphType, G = body }));
            before = name;
        }
        Initializer(g, "W2", [4, 3]);
        Initializer(g, "b2", [3]);
        Dense(g, before, "W2", "b2", "y");
    }

    private static void ScanBody(ModelProto m)
    {
        var body = new GraphProto { Name = "body" };
        body.Input.Add(Vector("row", 4));
        Initializer(body, "W", [4, 5]);
        Initializer(body, "b", [5]);
        Dense(body, "row", "W", "b", "out_row");
        body.Output.Add(Vector("out_row", 5));
        m.Graph.Node.Add(Op("Scan", ["x"], "s", Int("num_scan_inputs", 1),
            new AttributeProto { Name = "body", Type = GraphType, G = body }));
        Tail(m.Graph);
    }

    private static void Behind(ModelProto m, string view)
    {
        GraphProto g = m.Graph;
        Layers(g, (graph, name, dims) =>
        {
            if (name != "W1")
            {
                Initializer(graph, name, dims);
                return;
            }
            TensorData stored = Numbers(name, view == "Transpose" ? [dims[1], dims[0]] : view == "Reshape" ? [dims[0] * dims[1]] : dims);
            graph.Initializer.Add(TensorSerializer.Write("stored", view == "Cast" ? stored.ConvertTo(ElementType.Float16) : stored));
            if (view == "Reshape") graph.Initializer.Add(TensorSerializer.Write("shape", TensorData.From<long>(dims, dims.Length)));
            graph.Node.Add(Op(view, view == "Reshape" ? ["stored", "shape"] : ["stored"], name, view == "Cast" ? [Int("to", 1)] : []));
        });
    }

    private static void QuantizedAndBack(ModelProto m)
    {
        GraphProto g = m.Graph;
        g.Initializer.Add(TensorSerializer.Write("scale", TensorData.Scalar(0.01f)));
        g.Initializer.Add(TensorSerializer.Write("zero", TensorData.Create(ElementType.Int8, [], new byte[1])));
        Layers(g, (graph, name, dims) =>
        {
            if (name != "W1")
            {
                Initializer(graph, name, dims);
                return;
            }
            Initializer(graph, "stored", dims);
            graph.Node.Add(Op("QuantizeLinear", ["stored", "scale", "zero"], "quantized"));
            graph.Node.Add(Op("DequantizeLinear", ["quantized", "scale", "zero"], name));
        });
    }

    private static NodeProto Op(string type, string[] inputs, string output, params AttributeProto[] attributes)
    {
        var node = new NodeProto { OpType = type, Name = $"node_{output}" };
        node.Input.AddRange(inputs);
        node.Output.Add(output);
        node.Attribute.AddRange(attributes);
        return node;
    }

    private static AttributeProto Int(string name, long value) =>
        new() { Name = name, Type = AttributeProto.Types.AttributeType.Int, I = value };

    private static ValueInfoProto Scalar(string name, int type) =>
        new() { Name = name, Type = new TypeProto { TensorType = new() { ElemType = type, Shape = new() } } };

    private static ValueInfoProto Tensor(string name, long width)
    {
        ValueInfoProto info = Vector(name, width);
        info.Type.TensorType.Shape.Dim.Insert(0, new TensorShapeProto.Types.Dimension { DimParam = "batch" });
        return info;
    }

    private static ValueInfoProto Vector(string name, long width)
    {
        var shape = new TensorShapeProto();
        shape.Dim.Add(new TensorShapeProto.Types.Dimension { DimValue = width });
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new() { ElemType = 1, Shape = shape } } };
    }

    private static TensorData Numbers(string seed, long[] dims)
    {
        var random = new Random(seed.Sum(c => c));
        return TensorData.From<float>([.. Enumerable.Range(0, (int)dims.Aggregate(1L, (n, d) => n * d))
            .Select(_ => (float)(random.NextDouble() - 0.5))], dims);
    }
}
