using System.Runtime.InteropServices;
using OrtCpr.Graph;

namespace OrtCpr.Distributed.Mpi;

/// <summary>The handles of one family of MPI libraries: addresses of exported objects in Open MPI, numbers in MPICH and what keeps its
/// binary interface (MPICH ABI Compatibility Initiative: Intel MPI, MVAPICH, Cray MPICH).</summary>
internal sealed record MpiAbi
{
    /// <summary>Exported by Open MPI alone.</summary>
    private const string OpenMpiWorld = "ompi_mpi_comm_world";

    /// <summary>MPI_COMM_WORLD.</summary>
    public required nint World { get; init; }

    /// <summary>MPI_SUM.</summary>
    public required nint Sum { get; init; }

    /// <summary>MPI_IN_PLACE.</summary>
    public required nint InPlace { get; init; }

    /// <summary>MPI_ERRORS_RETURN.</summary>
    public required nint ErrorsReturn { get; init; }

    /// <summary>MPI_BYTE.</summary>
    public required nint Bytes { get; init; }

    /// <summary>The type that an element type travels as; 16-bit floats as numbers of 16 bits, for an operation of ours.</summary>
    public required IReadOnlyDictionary<ElementType, nint> Types { get; init; }

    /// <summary>That of a library.</summary>
    public static MpiAbi Of(nint library) => NativeLibrary.TryGetExport(library, OpenMpiWorld, out _) ? OpenMpi(library) : Mpich;

    private static MpiAbi Mpich { get; } = new()
    {
        World = 0x44000000,
        Sum = 0x58000003,
        InPlace = -1,
        ErrorsReturn = 0x54000001,
        Bytes = 0x4c00010d,
        Types = new Dictionary<ElementType, nint>
        {
            [ElementType.Float] = 0x4c00040a,
            [ElementType.Double] = 0x4c00080b,
            [ElementType.Int32] = 0x4c000405,
            [ElementType.Int64] = 0x4c000809,
            [ElementType.Float16] = 0x4c000204,
            [ElementType.BFloat16] = 0x4c000204,
        },
    };

    private static MpiAbi OpenMpi(nint library)
    {
        nint Of(string name) => NativeLibrary.GetExport(library, name);
        return new()
        {
            World = Of(OpenMpiWorld),
            Sum = Of("ompi_mpi_op_sum"),
            InPlace = 1,
            ErrorsReturn = Of("ompi_mpi_errors_return"),
            Bytes = Of("ompi_mpi_byte"),
            Types = new Dictionary<ElementType, nint>
            {
                [ElementType.Float] = Of("ompi_mpi_float"),
                [ElementType.Double] = Of("ompi_mpi_double"),
                [ElementType.Int32] = Of("ompi_mpi_int"),
                [ElementType.Int64] = Of("ompi_mpi_long_long_int"),
                [ElementType.Float16] = Of("ompi_mpi_unsigned_short"),
                [ElementType.BFloat16] = Of("ompi_mpi_unsigned_short"),
            },
        };
    }
}
