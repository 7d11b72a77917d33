# Installs every library that tessera_layer made: headers under include/tessera/, archives, and a
# package that find_package(tessera) finds. Two components: what most programs link, and the
# BEiT-3 libraries, whose third-party packages are looked for only if they are asked for
# (find_package(tessera COMPONENTS beit3)).
include(CMakePackageConfigHelpers)

get_property(layers GLOBAL PROPERTY TESSERA_LAYERS)
set(core ${layers})
set(beit3 ${layers})
list(FILTER core EXCLUDE REGEX "^tessera_beit3")
list(FILTER beit3 INCLUDE REGEX "^tessera_beit3")

set(TESSERA_CONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/tessera)
install(TARGETS ${core} tessera EXPORT tesseraTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT core
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tessera COMPONENT core)
install(EXPORT tesseraTargets NAMESPACE tessera:: DESTINATION ${TESSERA_CONFIG_DIR}
        COMPONENT core)
if(beit3)
  install(TARGETS ${beit3} EXPORT tesseraBeit3Targets
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT beit3
          FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/tessera COMPONENT beit3)
  install(EXPORT tesseraBeit3Targets NAMESPACE tessera:: DESTINATION ${TESSERA_CONFIG_DIR}
          COMPONENT beit3)
endif()

# A static library passes what it links on to programs: the package looks for it again. Read off
# the targets, so that no list can drift.
set(TESSERA_BEIT3_DEPENDENCIES "")
set(seen "")
foreach(layer IN LISTS beit3)
  get_target_property(links ${layer} LINK_LIBRARIES)
  foreach(link IN LISTS links)
    if(link MATCHES "^tessera::" OR NOT link MATCHES "^([A-Za-z0-9_]+)::([A-Za-z0-9_-]+)$")
      continue()
    endif()
    set(package ${CMAKE_MATCH_1})
    set(prefix ${CMAKE_MATCH_2})
    if(package STREQUAL "PkgConfig")
      set(package ${prefix})
      set(line "find_dependency(PkgConfig)\n  pkg_check_modules(${prefix} REQUIRED IMPORTED_TARGET GLOBAL ${${prefix}_MODULE_NAME})")
      if(NOT ${prefix}_MODULE_NAME)
        message(FATAL_ERROR "install: ${prefix} was not found by pkg_check_modules(${prefix} …)")
      endif()
    else()
      if(package STREQUAL "protobuf")
        set(package Protobuf)
      endif()
      set(line "find_dependency(${package})")
    endif()
    if(NOT package IN_LIST seen)
      list(APPEND seen ${package})
      string(APPEND TESSERA_BEIT3_DEPENDENCIES "  ${line}\n")
    endif()
  endforeach()
endforeach()

configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/tesseraConfig.cmake.in ${PROJECT_BINARY_DIR}/tesseraConfig.cmake
  INSTALL_DESTINATION ${TESSERA_CONFIG_DIR}
  NO_SET_AND_CHECK_MACRO)
# Before 1.0, a minor version may change the interface.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/tesseraConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/tesseraConfig.cmake
              ${PROJECT_BINARY_DIR}/tesseraConfigVersion.cmake
        DESTINATION ${TESSERA_CONFIG_DIR} COMPONENT core)
