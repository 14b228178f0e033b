using System.Text;
using Google.FlatBuffers;
using OrtCpr.Graph.Files;

namespace OrtCpr.Graph.OrtTraining;

// Writes "ODTC" files. Objects are created in the order in which ONNX Runtime creates them, so that the same content gives the same bytes.
internal static class OrtCheckpointWriter
{
    public const int Version = 2;

    // More than this inline and the tensors go to a file of their own; FlatBuffers end at 2 GiB.
    public const long InlineLimit = 1_800_000_000;

    // Smaller tensors stay inline, as the runtime has it.
    private const int MinExternalBytes = 64;

    public static ReadOnlySpan<byte> Identifier => "ODTC"u8;

    public static byte[] ToBytes(OrtCheckpoint checkpoint) => new Writer(checkpoint, null).Write();

    public static void Save(OrtCheckpoint checkpoint, string path, long inlineLimit)
    {
        if (TensorsOf(checkpoint).Sum(t => (long)(t.Data?.Bytes.Length ?? 0)) <= inlineLimit)
        {
            byte[] bytes = ToBytes(checkpoint);
            AtomicFile.Write(path, stream => stream.Write(bytes));
            return;
        }
        byte[] table = [];
        AtomicFile.Write(OrtCheckpoint.ExternalDataOf(path), stream => table = new Writer(checkpoint, stream).Write());
        AtomicFile.Write(path, stream => stream.Write(table));
    }

    private static IEnumerable<OrtTensor> TensorsOf(OrtCheckpoint c) =>
        c.Trainable.Concat(c.Frozen).Concat(c.Groups.SelectMany(g => g.States).SelectMany(s => s.Momentums));

    private sealed class Writer(OrtCheckpoint checkpoint, Stream? external)
    {
        private readonly FlatBufferBuilder _b = new(1024) { ForceDefaults = false };

        public byte[] Write()
        {
            int module = Module();
            int[] groups = [.. checkpoint.Groups.Select(Group)];
            int bag = checkpoint.Properties.Count > 0 ? Properties() : 0;
            int groupList = groups.Length > 0 ? Offsets(groups) : 0;
            _b.StartTable(4);
            _b.AddInt(0, checkpoint.Version, 0);
            Offset(1, module);
            Offset(2, groupList);
            Offset(3, bag);
            _b.Finish(_b.EndTable(), Encoding.ASCII.GetString(Identifier));
            return _b.SizedByteArray();
        }

        private int Module()
        {
            int[] trainable = [.. checkpoint.Trainable.Select(Tensor)], frozen = [.. checkpoint.Frozen.Select(Tensor)];
            int trainableList = Offsets(trainable), frozenList = Offsets(frozen);
            _b.StartTable(4);
            Offset(0, trainableList);
            Offset(1, frozenList);
            _b.AddBool(2, checkpoint.IsNominal, false);
            _b.AddBool(3, external is not null, false);
            return _b.EndTable();
        }

        private int Group(OrtOptimizerGroup group)
        {
            int[] states = [.. group.States.Select(State)];
            int name = Text(group.Name), list = Offsets(states);
            _b.StartTable(4);
            Offset(0, name);
            _b.AddFloat(2, group.InitialLearningRate, 0);
            _b.AddLong(1, group.Step, 0);
            Offset(3, list);
            return _b.EndTable();
        }

        private int State(OrtParameterState state)
        {
            int[] momentums = [.. state.Momentums.Select(Tensor)];
            int name = Text(state.Parameter), list = Offsets(momentums);
            _b.StartTable(2);
            Offset(0, name);
            Offset(1, list);
            return _b.EndTable();
        }

        private int Tensor(OrtTensor tensor)
        {
            int name = Text(tensor.Name), doc = tensor.DocString is null ? 0 : Text(tensor.DocString);
            int dims = Dimensions(tensor.Data?.Dimensions ?? []);
            int data = 0, strings = 0;
            long offset = -1;
            if (tensor.Data?.Strings is { } texts)
            {
                strings = Offsets([.. texts.Select(t => _b.CreateString(Encoding.UTF8.GetString(t.Span)).Value)]);
            }
            else if (external is not null && tensor.Data?.Bytes.Length >= MinExternalBytes)
            {
                offset = Append(external, tensor.Data);
            }
            else
            {
                data = Bytes(tensor.Data is null ? [] : tensor.Data.Bytes.Span);
            }

            _b.StartTable(7);
            Offset(0, name);
            Offset(1, doc);
            Offset(2, dims);
            _b.AddInt(3, (int)tensor.Type, 0);
            Offset(4, data);
            Offset(5, strings);
            _b.AddLong(6, offset, -1);
            return _b.EndTable();
        }

        private static long Append(Stream stream, TensorData data)
        {
            int alignment = data.Type.BitsPerElement() >= 64 ? 8 : 4;
            while (stream.Position % alignment != 0) stream.WriteByte(0);
            long at = stream.Position;
            stream.Write(data.Bytes.Span);
            return at;
        }

        // Created by name across the kinds.
        private int Properties()
        {
            List<int> integers = [], floats = [], texts = [];
            foreach ((string key, object value) in checkpoint.Properties.OrderBy(p => p.Key, StringComparer.Ordinal))
            {
                int name = Text(key), text = value is string s ? Text(s) : 0;
                _b.StartTable(2);
                Offset(0, name);
                if (value is long integer) _b.AddLong(1, integer, 0);
                else if (value is float number) _b.AddFloat(1, number, 0);
                else Offset(1, text);
                (value is long ? integers : value is float ? floats : texts).Add(_b.EndTable());
            }
            int integerList = Offsets([.. integers]), floatList = Offsets([.. floats]), textList = Offsets([.. texts]);
            _b.StartTable(3);
            Offset(0, integerList);
            Offset(1, floatList);
            Offset(2, textList);
            return _b.EndTable();
        }

        private int Offsets(int[] offsets)
        {
            _b.StartVector(4, offsets.Length, 4);
            for (int i = offsets.Length - 1; i >= 0; i--) _b.AddOffset(offsets[i]);
            return _b.EndVector().Value;
        }

        private int Dimensions(IReadOnlyList<long> dims)
        {
            // The C++ builder does not align what is empty.
            _b.StartVector(8, dims.Count, dims.Count == 0 ? 4 : 8);
            for (int i = dims.Count - 1; i >= 0; i--) _b.AddLong(dims[i]);
            return _b.EndVector().Value;
        }

        private int Bytes(ReadOnlySpan<byte> bytes)
        {
            _b.StartVector(1, bytes.Length, 1);
            _b.Add(bytes.ToArray());
            return _b.EndVector().Value;
        }

        private int Text(string text) => _b.CreateString(text).Value;

        private void Offset(int slot, int offset) => _b.AddOffset(slot, offset, 0);
    }
}
