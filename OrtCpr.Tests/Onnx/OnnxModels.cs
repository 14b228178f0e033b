using Google.Protobuf;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Onnx;

/// <summary>Small models made in code.</summary>
internal static class OnnxModels
{
    internal static readonly string Grokking = Path.Combine(AppContext.BaseDirectory, "Data", "grokking.onnx");

    /// <summary>y = x·w + b with w Float[32,32] (4 KiB), b Float[32] and a Constant node.</summary>
    internal static ModelProto Linear()
    {
        ModelProto model = Empty();
        model.Graph.Initializer.Add(TensorSerializer.Write("w", Ramp(32, 32)));
        model.Graph.Initializer.Add(TensorSerializer.Write("b", Ramp(32)));
        model.Graph.Node.Add(new NodeProto { OpType = "MatMul", Input = { "x", "w" }, Output = { "xw" } });
        model.Graph.Node.Add(new NodeProto { OpType = "Add", Input = { "xw", "b" }, Output = { "y" } });
        model.Graph.Node.Add(new NodeProto
        {
            OpType = "Constant",
            Name = "c",
            Output = { "one" },
            Attribute = { new AttributeProto { Name = "value", Type = AttributeProto.Types.AttributeType.Tensor,
                T = TensorSerializer.Write("", TensorData.Scalar(1f)) } },
        });
        return model;
    }

    internal static ModelProto Empty() => new()
    {
        IrVersion = 10,
        OpsetImport = { new OperatorSetIdProto { Version = 18 } },
        Graph = new GraphProto { Name = "g" },
    };

    internal static TensorData Ramp(params long[] dims)
    {
        int count = (int)dims.Aggregate(1L, (product, dim) => product * dim);
        return TensorData.From<float>([.. Enumerable.Range(0, count).Select(i => i * 0.25f)], dims);
    }

    /// <summary>A message that refers to a file.</summary>
    internal static TensorProto External(string name, TensorData shape, params (string Key, string Value)[] entries)
    {
        TensorProto tensor = new() { Name = name, DataType = (int)shape.Type, DataLocation = TensorProto.Types.DataLocation.External };
        tensor.Dims.AddRange(shape.Dimensions);
        foreach ((string key, string value) in entries)
            tensor.ExternalData.Add(new StringStringEntryProto { Key = key, Value = value });
        return tensor;
    }

    internal static ModelProto With(params TensorProto[] initializers)
    {
        ModelProto model = Empty();
        model.Graph.Initializer.AddRange(initializers);
        return model;
    }

    internal static string LoadError(ModelProto model, string? folder = null) =>
        Assert.ThrowsExactly<ModelFormatException>(() => ModelFile.Load(model.ToByteArray(), folder)).Message;

    internal static void Contains(string message, params string[] parts)
    {
        foreach (string part in parts)
            Assert.Contains(part, message);
    }
}
