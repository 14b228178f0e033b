using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Samples;

// Models whose file has no weights: they are drawn when it is read.
internal static class DrawnWeights
{
    // Weights and biases of Gemm and Conv, of any name without "norm", between ±1/√inputs, each by a node of the initialization.
    public static void LeaveToBeDrawn(ModelProto proto)
    {
        var info = new TrainingInfoProto { Initialization = new GraphProto { Name = "initialization" } };
        long inputs = 0;
        foreach (TensorProto tensor in proto.Graph.Initializer.Where(i => !i.Name.Contains("norm", StringComparison.Ordinal)
            && (i.Name.EndsWith(".weight", StringComparison.Ordinal) || i.Name.EndsWith(".bias", StringComparison.Ordinal))))
        {
            if (tensor.Dims.Count > 1) inputs = tensor.Dims.Skip(1).Aggregate(1L, (n, d) => n * d);
            float reach = (float)(1 / Math.Sqrt(inputs));
            var node = new NodeProto { OpType = "RandomUniform" };
            node.Output.Add($"{tensor.Name}.drawn");
            node.Attribute.Add(new AttributeProto { Name = "low", F = -reach, Type = AttributeProto.Types.AttributeType.Float });
            node.Attribute.Add(new AttributeProto { Name = "high", F = reach, Type = AttributeProto.Types.AttributeType.Float });
            var shape = new AttributeProto { Name = "shape", Type = AttributeProto.Types.AttributeType.Ints };
            shape.Ints.AddRange(tensor.Dims);
            node.Attribute.Add(shape);
            info.Initialization.Node.Add(node);
            info.InitializationBinding.Add(new StringStringEntryProto { Key = tensor.Name, Value = node.Output[0] });
            tensor.RawData = Google.Protobuf.ByteString.Empty;
            tensor.DataLocation = TensorProto.Types.DataLocation.External;
            tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = $"{proto.Graph.Name}.drawn" });
        }
        proto.TrainingInfo.Add(info);
    }
}
